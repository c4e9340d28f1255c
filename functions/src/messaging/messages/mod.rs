//! `/api/messages`.

mod about;
mod accept;
pub mod backlog;
pub mod bulk;
pub mod delete;
mod enqueue;
mod files;
mod fingerprint;
mod form;
mod kept;
pub mod kinds;
pub mod legible;
pub mod list;
mod members;
mod options;
pub mod reaction;
mod replay;
mod revoking;
mod scheduling;
mod sending;
mod settle;
pub mod show;
pub mod timeline;
mod unaddressed;
pub mod update;
pub mod view;
