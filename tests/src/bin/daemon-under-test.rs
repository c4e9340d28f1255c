//! The daemon as a process of its own, built for the sandbox. Its clock may be wrong, where a test wants that.

use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;
use mimalloc::MiMalloc;
use testbed::clock::MovedClock;
use tests::daemon_process::CLOCK_OFFSET;

/// The daemon's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    daemon::service::run(Arc::new(clock()?)).await
}

/// The machine's clock, moved by as many seconds as [`CLOCK_OFFSET`] says.
#[expect(
    clippy::disallowed_methods,
    reason = "the daemon's configuration does not know of clocks that are wrong"
)]
fn clock() -> anyhow::Result<MovedClock> {
    let clock = MovedClock::default();
    if let Ok(text) = std::env::var(CLOCK_OFFSET) {
        let offset = text.parse().ok().and_then(TimeDelta::try_seconds);
        clock.advance(offset.with_context(|| format!("{CLOCK_OFFSET} is no number of seconds: {text}"))?);
    }
    Ok(clock)
}
