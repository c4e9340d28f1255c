//! The stack: API, daemon, webhooks, table and queues in one process, on embedded stores. What its binaries share:
//! `localstack` has the sandbox network beside it, `server` serves WhatsApp itself.
//!
//! The routers are those that the Lambda functions serve, the daemon is the one that runs on ECS, and the table is
//! reached through the AWS SDK. Only what they stand on differs: a DynamoDB engine in this process, and queues in a
//! file.

pub mod backup;
mod between;
mod content;
mod database;
mod entrance;
mod network;
mod place;
mod secrets;
mod stack;
mod turns;
mod wrapping;

pub use between::{Between, Directly};
pub use place::{Place, private_directory};
pub use stack::{Plan, Stack, usual};
