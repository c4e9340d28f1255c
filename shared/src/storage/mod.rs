//! The one table, and the repositories over it.

mod error;
mod table;

pub use error::{StorageError, classify};
pub use table::Table;
