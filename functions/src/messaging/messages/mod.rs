//! `/api/messages`.

mod accept;
pub mod backlog;
mod enqueue;
mod fingerprint;
pub mod kinds;
pub mod legible;
pub mod list;
mod options;
mod scheduling;
mod sending;
mod settle;
pub mod show;
pub mod timeline;
mod view;
