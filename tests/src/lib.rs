//! What the suites share: Waxwing as its users see it, through public interfaces alone.

pub mod authenticator;
pub mod daemon_process;
pub mod deployment;
pub mod faults;
pub mod flow;
pub mod folder;
pub mod hook;
pub mod host;
pub mod inside;
pub mod kms;
pub mod listening;
pub mod patient;
pub mod peer;
pub mod phones;
pub mod process;
pub mod routes;
pub mod shown;
pub mod telling;
pub mod wire;
