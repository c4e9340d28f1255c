//! The one table, and the repositories over it.

mod error;
pub mod keys;
mod table;

pub use error::{StorageError, classify};
pub use table::{ATTEMPT_DEADLINE, CALL_DEADLINE, Table};
