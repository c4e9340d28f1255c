//! Waiting for what must come, with a deadline.

use std::iter::{repeat, successors};
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
pub async fn until_within<T>(patience: Duration, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    let growing = |pause: &Duration| Some(LONGEST_PAUSE.min(*pause * 2));
    let found = look_with(successors(Some(FIRST_PAUSE), growing), patience, look).await;
    found.unwrap_or_else(|| panic!("{what} did not come within {} s", patience.as_secs()))
}

/// Looks again and again with this pause; `None` where nothing is found for as long as `patience`. For what must not be looked
/// at often, and for whoever has more to say than that something did not come.
pub async fn look_for<T>(
    pause: Duration,
    patience: Duration,
    look: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    look_with(repeat(pause), patience, look).await
}

/// The same with one of these pauses after each look.
async fn look_with<T>(
    pauses: impl Iterator<Item = Duration>,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + patience;
    for pause in pauses {
        let found = look().await;
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        tokio::time::sleep(pause).await;
    }
    None
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
