//! `/api/groups/{group}/picture`.

pub mod change;
pub mod remove;
