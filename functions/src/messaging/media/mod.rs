//! Files on their way out and in.

pub mod create;
pub mod delete;
pub mod show;
pub mod uploads;
