//! The connection daemon as a process of its own. Its configuration is in the environment:
//! see `shared::config`.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    daemon::service::run().await
}
