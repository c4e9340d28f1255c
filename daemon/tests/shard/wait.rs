//! Waiting for what must come, with a deadline.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// Nothing here takes longer, on the busiest machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// The pause between two looks.
const INTERVAL: Duration = Duration::from_millis(10);

pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come in time"))
}

/// Looks again and again until `look` answers something.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come in time");
        tokio::time::sleep(INTERVAL).await;
    }
}
