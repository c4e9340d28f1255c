//! `/api/subscriptions`: every subscription, for administrators.

pub mod deletion;
pub mod list;
pub mod show;
pub mod update;
