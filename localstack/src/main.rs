//! `cargo run`: the whole of Waxwing in one process.

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;

/// The allocator that the daemon's binary has: this process has a daemon within.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match localstack::run(localstack::Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("waxwing: {error:#}");
            ExitCode::FAILURE
        }
    }
}
