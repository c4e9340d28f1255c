//! `/api/groups/{group}/invite-link`.

pub mod reset;
pub mod show;
