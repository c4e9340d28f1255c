//! The daemon as a process of its own, built for the sandbox.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    daemon::service::run().await
}
