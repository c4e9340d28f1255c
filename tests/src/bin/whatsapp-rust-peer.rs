//! A `whatsapp-rust` client for suites in other languages.

use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tests::peer::run(tests::peer::Cli::parse()).await
}
