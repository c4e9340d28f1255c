//! The local stack: API, daemon, table, queues and the sandbox network in one process, on
//! embedded stores.
//!
//! The routers are those that the Lambda functions serve, the daemon is the one that runs on ECS, and the table is
//! reached through the AWS SDK. Only what they stand on differs: a DynamoDB engine in this process, and queues in a
//! file.

use anyhow::Context as _;

mod between;
mod cli;
mod content;
mod database;
mod entrance;
pub mod guide;
mod mailbox;
mod secrets;
mod stack;
mod turns;

pub use between::{Between, Directly};
pub use cli::Cli;
pub use stack::Stack;

/// Runs a local stack until a signal asks it to stop. Ends with an error where the table breaks, or the daemon ends.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    shared::telemetry::start(shared::telemetry::Format::Text);
    let stop = shared::shutdown::on_signal()?;
    let stack = Stack::start(&cli).await?;
    // What does not end may hold up the end of the process too.
    daemon::service::end_where_stuck(stack.holding()).context("a thread that ends the process")?;
    guide::print(&stack);
    ended(stop.cancelled(), stack.broken(), stack.daemon_ended()).await?;
    stack.shutdown().await;
    Ok(())
}

/// Waits until the end is asked for, which is then in order, or the stack can do nothing more: the table is broken, or the
/// daemon has ended.
async fn ended(
    asked: impl Future<Output = ()>,
    broken: impl Future<Output = ()>,
    daemon_ended: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = asked => Ok(()),
        () = broken => Err(anyhow::anyhow!(
            "the table is broken, as the log says; nothing that was answered is lost: start again"
        )),
        () = daemon_ended => Err(anyhow::anyhow!(
            "the daemon has ended, as the log says, and nobody sends what is accepted: start again"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_broken_table_ends_the_stack_with_an_error() {
        assert!(ended(ready(()), pending(), pending()).await.is_ok());
        let end = ended(pending(), ready(()), pending()).await;
        let error = end.expect_err("it is broken");
        assert!(error.to_string().contains("the table is broken"), "{error}");
    }

    #[tokio::test]
    async fn a_daemon_that_ends_ends_the_stack_with_an_error() {
        let end = ended(pending(), pending(), ready(())).await;
        let error = end.expect_err("nobody sends");
        assert!(error.to_string().contains("the daemon has ended"), "{error}");
    }
}
