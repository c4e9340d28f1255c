//! What administrators see of the whole deployment.

pub mod overview;
pub mod workers;
