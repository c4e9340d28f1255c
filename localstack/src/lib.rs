//! The local stack: API, daemon, table, queues and the sandbox network in one process, on
//! embedded stores.
//!
//! The routers are those that the Lambda functions serve, the daemon is the one that runs on ECS, and the table is
//! reached through the AWS SDK. Only what they stand on differs: a DynamoDB engine in this process, and queues in a
//! file.

mod between;
mod cli;
mod content;
mod database;
mod entrance;
pub mod guide;
mod mailbox;
mod secrets;
mod stack;

pub use between::{Between, Directly};
pub use cli::Cli;
pub use stack::Stack;

/// Runs a local stack until a signal asks it to stop.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    shared::telemetry::start(shared::telemetry::Format::Text);
    let stop = shared::shutdown::on_signal()?;
    let stack = Stack::start(&cli).await?;
    guide::print(&stack);
    stop.cancelled().await;
    stack.shutdown().await;
    Ok(())
}
