//! Counts what has happened to messages.
//!
//! A state is counted by the task that brought the record into it, and a record enters a state only once. So a count
//! that fails is repeated here or never.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::counting::Counter;
use shared::ids::InstanceId;
use shared::telemetry::chain;
use tracing::warn;

use crate::deps::Deps;

/// How often a count is tried. Each try has the store's own within it.
const ATTEMPTS: u32 = 4;

/// The pause after the first; it doubles each time.
const PAUSE: Duration = Duration::from_millis(200);

/// Counts one more of each of `counters` on the day of `at`. A try whose outcome is not known is repeated, so this
/// may count one too many rather than one too few. Gives up after some seconds; the records have the states all the
/// same.
pub async fn count(deps: &Deps, instance: InstanceId, counters: &[Counter], at: DateTime<Utc>) {
    let mut pause = PAUSE;
    for attempt in 1..=ATTEMPTS {
        match deps.counters.count(instance, counters, at).await {
            Ok(()) => return,
            Err(error) if !error.nature().is_permanent() && attempt < ATTEMPTS => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) => {
                warn!(instance.id = %instance, error = %chain(&error), "a message was not counted");
                return;
            }
        }
    }
}
