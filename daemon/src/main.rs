//! The connection daemon as a process of its own. Its configuration is in the environment:
//! see `shared::config`.

use std::sync::Arc;

use mimalloc::MiMalloc;
use shared::clock::SystemClock;

/// `docs/capacity.md` says how much memory an instance takes with it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    daemon::service::run(Arc::new(SystemClock)).await
}
