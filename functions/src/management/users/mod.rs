//! `/api/users`: every user of every subscription, for administrators.

pub mod create;
pub mod delete;
mod find;
pub mod list;
pub mod show;
pub mod update;
