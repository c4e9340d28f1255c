//! An instance's API keys.

pub mod create;
mod find;
pub mod list;
pub mod revoke;
pub mod rotate;
mod settings;
pub mod update;
mod view;
