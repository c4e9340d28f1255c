//! Waiting for what must come, with a deadline.

use std::time::Duration;

use tokio::time::Instant;

/// How long anything may take before a test fails. Far more than it takes on a busy machine: a test asserts that it
/// happens, not how fast.
pub const DEADLINE: Duration = Duration::from_mins(2);

/// The pause after the first look; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause: what is looked at may count its callers.
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// Waits for this; panics with `what` at the deadline.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come within {} s", DEADLINE.as_secs()))
}

/// Looks again and again until `look` answers something; panics with `what` at the deadline.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(DEADLINE, what, look).await
}

/// The same with a deadline of its own, for what takes a slow machine longer.
pub async fn until_within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what} did not come within {} s",
            patience.as_secs()
        );
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Looks again and again, with this pause between two looks, until `look` is `Ok`. At the deadline it answers the last `Err`: what
/// is missing.
pub async fn until_ok<T, E>(
    deadline: Instant,
    pause: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    loop {
        let seen = look().await;
        if seen.is_ok() || Instant::now() >= deadline {
            return seen;
        }
        tokio::time::sleep(pause).await;
    }
}
