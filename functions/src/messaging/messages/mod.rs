//! `/api/messages`.

mod accept;
pub mod backlog;
mod enqueue;
mod fingerprint;
mod idempotency;
mod legible;
mod options;
mod settle;
pub mod show;
pub mod text;
mod view;
