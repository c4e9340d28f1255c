//! The local stack, built with fault hooks.

use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    localstack::run(localstack::Cli::parse()).await
}
