//! `/api/messages`.

mod accept;
pub mod backlog;
mod enqueue;
mod fingerprint;
pub mod kinds;
mod legible;
mod options;
mod sending;
mod settle;
pub mod show;
mod view;
