//! `/api/groups/{group}/participants`.

pub mod add;
pub mod remove;
