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

/// Counts one more of each of `counters` on the day of `at`. Where nobody knows whether they were counted, they are counted
/// again, and perhaps once too often, except for those that may be too few rather than too many (see
/// [`Counter::errs_upwards`]). Gives up after some seconds; the records have the states all the same.
pub async fn count(deps: &Deps, instance: InstanceId, counters: &[Counter], at: DateTime<Utc>) {
    let mut counters = counters.to_vec();
    let mut pause = PAUSE;
    for attempt in 1..=ATTEMPTS {
        let Err(error) = deps.counters.count(instance, &counters, at).await else {
            return;
        };
        if !error.was_not_executed() {
            counters.retain(|counter| counter.errs_upwards());
        }
        if counters.is_empty() || error.nature().is_permanent() || attempt == ATTEMPTS {
            warn!(instance.id = %instance, error = %chain(&error), "a message was not counted");
            return;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
