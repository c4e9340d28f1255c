//! The promises, by theme.

pub mod batches;
pub mod dead_letters;
pub mod limits;
pub mod order;
pub mod polling;
pub mod visibility;
