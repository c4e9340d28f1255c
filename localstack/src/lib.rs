//! The local stack: a whole stack (see the crate `stack`) and the sandbox network beside it, in one process.

mod cli;
pub mod guide;
mod local;
mod mailbox;

pub use cli::Cli;
pub use local::Stack;
pub use stack::{Between, Directly};

/// Runs a local stack until a signal asks it to stop. Ends with an error where the table breaks, or the daemon ends.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    shared::telemetry::start(shared::telemetry::Format::Text);
    shared::trace::start("waxwing")?;
    let stop = shared::shutdown::on_signal()?;
    let stack = Stack::start(&cli).await?;
    stack.end_where_stuck()?;
    guide::print(&stack);
    stack.until(stop.cancelled()).await?;
    stack.shutdown().await;
    shared::trace::end().await;
    Ok(())
}
