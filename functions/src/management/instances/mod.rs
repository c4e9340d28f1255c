//! `/api/instances`.

pub mod connect;
pub mod create;
pub mod delete;
pub mod disconnect;
pub mod keys;
pub mod list;
pub mod logout;
pub mod messages;
pub mod pairing_code;
pub mod pairing_link;
pub mod passkey;
pub mod qr;
pub mod restart;
pub mod show;
pub mod stats;
pub mod status;
pub mod update;
pub mod webhook;

pub(super) mod behalf;
mod content_days;
pub(super) mod desired;
mod find;
mod metadata;
mod pace;
pub(super) mod picture;
mod view;

pub use desired::nudge_all;
pub use view::InstanceView;
