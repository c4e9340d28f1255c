//! Waiting for what must come, with a deadline.

use std::time::Duration;

use tokio::time::Instant;

/// How long anything may take before a test fails. Far more than it takes on a busy
/// machine: a test asserts that it happens, not how fast.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// The pause between two looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// Looks again and again until `look` answers something; panics with `what` at the
/// deadline.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what} did not come within {} s",
            DEADLINE.as_secs()
        );
        tokio::time::sleep(INTERVAL).await;
    }
}
