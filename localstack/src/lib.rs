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
mod turns;

pub use between::{Between, Directly};
pub use cli::Cli;
pub use stack::Stack;

/// Runs a local stack until a signal asks it to stop. Ends with an error where the table breaks.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    shared::telemetry::start(shared::telemetry::Format::Text);
    let stop = shared::shutdown::on_signal()?;
    let stack = Stack::start(&cli).await?;
    guide::print(&stack);
    ended(stop.cancelled(), stack.broken()).await?;
    stack.shutdown().await;
    Ok(())
}

/// Waits until the end is asked for, which is then in order, or the table is broken.
async fn ended(asked: impl Future<Output = ()>, broken: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::select! {
        () = asked => Ok(()),
        () = broken => Err(anyhow::anyhow!(
            "the table is broken, as the log says; nothing that was answered is lost: start again"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_broken_table_ends_the_stack_with_an_error() {
        assert!(ended(ready(()), pending()).await.is_ok());
        let error = ended(pending(), ready(())).await.expect_err("it is broken");
        assert!(error.to_string().contains("the table is broken"), "{error}");
    }
}
