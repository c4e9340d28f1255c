//! `/api/subscription/members`: who belongs to the caller's subscription.

pub mod invite;
pub mod list;
pub mod remove;
mod view;
