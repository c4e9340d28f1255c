//! What the suites share: Waxwing as its users see it, through public interfaces alone.

pub mod api;
pub mod daemon_process;
pub mod database;
pub mod faults;
pub mod flow;
pub mod peer;
pub mod phones;
pub mod process;
pub mod routes;
pub mod wait;
