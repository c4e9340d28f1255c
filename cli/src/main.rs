//! `waxwing`: see the crate's library.

use std::process::ExitCode;

use clap::Parser as _;
use cli::Terminal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Then the terminal's own way of ending a program is left.
            std::future::pending::<()>().await;
        }
    };
    match cli::run(cli::Cli::parse(), &mut Terminal, interrupted).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_closed_output() {
                eprintln!("waxwing: {failure}");
            }
            ExitCode::FAILURE
        }
    }
}
