//! `/api/contacts`, with the daemon played by the test.

mod block;
mod blocked;
mod check;
mod list;
mod picture;
mod show;
