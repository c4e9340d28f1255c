//! `cargo run`: the whole of Waxwing in one process.

use clap::Parser as _;
use localstack::{Cli, Stack, guide};
use shared::{shutdown, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    telemetry::start(telemetry::Format::Text);
    let stop = shutdown::on_signal()?;
    let stack = Stack::start(&cli).await?;
    guide::print(&stack);
    stop.cancelled().await;
    stack.shutdown().await;
    Ok(())
}
