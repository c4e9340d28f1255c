//! The local stack, built with fault hooks.

use clap::Parser as _;
use mimalloc::MiMalloc;

/// The local stack's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    localstack::run(localstack::Cli::parse()).await
}
