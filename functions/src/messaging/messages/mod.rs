//! `/api/messages`.

mod accept;
mod idempotency;
mod options;
pub mod show;
pub mod text;
mod view;
