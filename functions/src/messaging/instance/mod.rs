//! `/api/instance`: the instance that the caller's key is for.

pub mod info;
