//! `sandbox`: a WhatsApp network on this machine, run alone.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use sandbox::{Cli, Config, Sandbox};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;

    let sandbox = Sandbox::start(Config::from(cli)).await?;
    // Whoever started it may have stopped reading: that is no reason to end.
    let _ = writeln!(std::io::stdout(), "WhatsApp clients: {}", sandbox.ws_url());
    let _ = writeln!(
        std::io::stdout(),
        "Admin API:        {}/admin",
        sandbox.admin_url()
    );
    let _ = writeln!(std::io::stdout(), "Media host:       {}", sandbox.media_url());

    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for Ctrl-C")?,
        _ = terminate.recv() => {}
    }
    sandbox.shutdown().await;
    Ok(())
}
