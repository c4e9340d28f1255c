//! The daemon as a process of its own, built for the sandbox.

use mimalloc::MiMalloc;

/// The daemon's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    daemon::service::run().await
}
