//! The local stack, built with fault hooks. Where its first word is `server`, it is `waxwing-server`, which connects to nobody.

use std::ffi::OsString;

use clap::Parser as _;
use daemon::app::Sessions;
use mimalloc::MiMalloc;

/// The local stack's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|word| word == "server") {
        arguments.remove(1);
        return server::run_with(server::Cli::parse_from(arguments), Sessions::Never).await;
    }
    localstack::run(localstack::Cli::parse_from(arguments)).await
}
