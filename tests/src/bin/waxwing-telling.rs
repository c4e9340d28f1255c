//! A local stack for suites in other languages, which tells what its instances are told.

use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    shared::telemetry::start(shared::telemetry::Format::Text);
    tests::telling::run(tests::telling::Cli::parse()).await
}
