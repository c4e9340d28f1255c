//! The local stack: API, daemon, table, queues and the sandbox network in one process, on
//! embedded stores.
//!
//! The routers are those that the Lambda functions serve, the daemon is the one that runs
//! on ECS, the table is reached through the AWS SDK. What differs is what they stand on:
//! a DynamoDB engine in this process, and queues in a file.

mod cli;
mod database;
pub mod guide;
mod secrets;
mod stack;

pub use cli::Cli;
pub use stack::Stack;
