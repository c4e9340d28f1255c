//! `/api/subscription`: the caller's own.

pub mod members;
pub mod show;
pub mod usage;
