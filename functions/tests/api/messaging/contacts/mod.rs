//! `/api/contacts`, with the daemon played by the test.

mod block;
mod check;
mod show;
