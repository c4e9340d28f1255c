//! The deployment's template, `template.yaml`, held against the code: which function API Gateway sends a path to, and what
//! each function may do.

mod paths;
mod rights;
