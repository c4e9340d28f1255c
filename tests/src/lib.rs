//! What the suites share: Waxwing as its users see it, through public interfaces alone.

pub mod authenticator;
pub mod daemon_process;
pub mod faults;
pub mod flow;
pub mod peer;
pub mod phones;
pub mod process;
pub mod routes;
