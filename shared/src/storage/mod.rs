//! The one table, and the repositories over it.

mod error;
pub mod item;
mod table;

pub use error::{StorageError, classify};
pub use table::Table;
