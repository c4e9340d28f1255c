//! The connection daemon as a process of its own. Its configuration is in the environment:
//! see `shared::config`.

use mimalloc::MiMalloc;

/// It takes less memory for each of many instances, and gives back to the system what a burst of starts has left.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    daemon::service::run().await
}
