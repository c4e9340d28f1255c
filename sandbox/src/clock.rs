//! The network's own clock, injected so that a test can steer it.

/// A source of wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the sandbox reads the machine's clock"
    )]
    fn now_ms(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }
}
