//! Counts what has happened to messages.
//!
//! A state is counted by whoever brought the record into it, and the record does not go
//! there twice: a count that fails is made up for here or never.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::counting::Counter;
use shared::ids::InstanceId;
use shared::telemetry::chain;
use tracing::warn;

use crate::deps::Deps;

/// How often a count is tried, the store's own tries within each.
const ATTEMPTS: u32 = 4;

/// The pause after the first; it doubles each time.
const PAUSE: Duration = Duration::from_millis(200);

/// Counts one more of each of `counters` on the day of `at`. Where the table did not say
/// whether it counted, this may count one too many rather than one too few. Gives up after
/// some seconds: what is counted stands in its record all the same.
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
