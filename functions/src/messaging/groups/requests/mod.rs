//! `/api/groups/{group}/requests`.

pub mod decide;
pub mod list;
