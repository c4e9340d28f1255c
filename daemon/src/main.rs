//! The connection daemon as a process of its own. Its configuration is in the environment: see `shared::config`. With the
//! argument `check` it asks the one that runs on this machine whether it lives, and ends with status 1 where it does not.

use std::sync::Arc;

use mimalloc::MiMalloc;
use shared::clock::SystemClock;

/// `docs/capacity.md` says how much memory an instance takes with it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => daemon::service::run(Arc::new(SystemClock)).await,
        Some("check") => daemon::check::run().await,
        Some(other) => anyhow::bail!("the only argument is `check`, and not `{other}`"),
    }
}
