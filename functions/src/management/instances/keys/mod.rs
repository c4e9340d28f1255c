//! `/api/instances/{instance}/keys`.

pub mod create;
