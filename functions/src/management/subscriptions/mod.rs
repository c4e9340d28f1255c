//! `/api/subscriptions`: every subscription, for administrators.

pub mod list;
pub mod show;
pub mod update;
