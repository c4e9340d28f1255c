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
pub async fn until_within<T>(patience: Duration, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = look_with((FIRST_PAUSE, LONGEST_PAUSE), patience, look).await;
    found.unwrap_or_else(|| panic!("{what} did not come within {} s", patience.as_secs()))
}

/// What a look answers.
pub trait Look {
    /// Whether what was looked for is there.
    fn is_there(&self) -> bool;
}

/// `None` says that it is not there.
impl<T> Look for Option<T> {
    fn is_there(&self) -> bool {
        self.is_some()
    }
}

/// `Err` says what is missing.
impl<T, E> Look for Result<T, E> {
    fn is_there(&self) -> bool {
        self.is_ok()
    }
}

/// Looks again and again, with this pause between two looks, until what is looked for is there; answers the last look, also where
/// it is not there for as long as `patience`. For what must not be looked at often, and for whoever has more to say than that
/// something did not come.
pub async fn look_for<L: Look>(pause: Duration, patience: Duration, look: impl AsyncFnMut() -> L) -> L {
    look_with((pause, pause), patience, look).await
}

/// The same with a pause of the first length at first. It doubles up to the second one.
async fn look_with<L: Look>(
    (mut pause, longest): (Duration, Duration),
    patience: Duration,
    mut look: impl AsyncFnMut() -> L,
) -> L {
    let deadline = Instant::now() + patience;
    loop {
        let seen = look().await;
        if seen.is_there() || Instant::now() >= deadline {
            return seen;
        }
        tokio::time::sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}
