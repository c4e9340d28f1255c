//! `/api/instances`.

pub mod connect;
pub mod create;
pub mod keys;
pub mod list;
pub mod qr;
pub mod show;
pub mod status;

mod find;
mod picture;
mod view;

pub use view::InstanceView;
