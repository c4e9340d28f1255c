//! What Waxwing's functions and its connection daemon have in common: the domain, the
//! storage (one DynamoDB table), authentication, configuration and telemetry.
//!
//! Nothing here knows a WhatsApp library or an HTTP framework.

pub mod auth;
pub mod aws;
pub mod bucket;
pub mod clock;
pub mod config;
pub mod domain;
pub mod fault;
pub mod forwarded;
pub mod ids;
pub mod mail;
pub mod nature;
pub mod queue;
pub mod reach;
pub mod recent;
#[cfg(feature = "schema")]
mod schema;
pub mod seal;
pub mod sealed;
pub mod secrets_manager;
pub mod session_state;
pub mod shutdown;
pub mod storage;
pub mod telemetry;
pub mod term;
pub mod trace;
