//! The one table, and the repositories over it.
//!
//! A read of one item answers an `Option`; a write under a condition answers an outcome. [`StorageError`] is for what
//! the caller did not foresee.

pub mod accounts;
pub mod address_books;
pub mod answers;
pub mod api_keys;
pub mod audit;
mod batch;
pub mod contents;
pub mod counters;
mod definition;
pub mod deliveries;
mod error;
mod gather;
pub mod group_receipts;
pub mod idempotency;
pub mod instances;
pub mod item;
pub mod keys;
pub mod leases;
mod lists;
pub mod lockouts;
pub mod mail_codes;
pub mod media;
pub mod messages;
mod once;
pub mod outcome;
pub mod people;
mod purge;
pub mod rates;
pub mod schedule;
pub mod sessions;
pub mod setup;
pub mod standings;
mod table;
mod time;
pub mod webhooks;

pub use error::{StorageError, classify};
pub use table::{ATTEMPT_DEADLINE, CALL_DEADLINE, LIST_INDEX, Table};
