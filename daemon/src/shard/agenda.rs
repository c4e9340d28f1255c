//! When messages are due: has each handed over to the shard's queue when its time has come (`clerk.rs`).
//!
//! They rest in the due index ([`shared::storage::schedule`]). In memory is only when the next one is due. That is read
//! from the index when the shard is taken and once a minute, and told by a nudge when a message is accepted for soon.

use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::clock::Clock;
use shared::queue::MAX_WAIT;
use shared::telemetry::chain;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::warn;

use super::clerk::Clerk;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::Hold;

/// The longest time between two looks at the clock. It may be set meanwhile.
const CLOCK_EVERY: Duration = Duration::from_secs(1);

/// The pause after a failure; it doubles each time that nothing was handed over before it, to [`LONGEST_PAUSE`].
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When the shard's next message is due, as far as known.
#[derive(Debug, Default)]
pub struct Agenda {
    next: Mutex<Option<DateTime<Utc>>>,
    /// The earliest time of which somebody told since the index was read.
    told: Mutex<Option<DateTime<Utc>>>,
    changed: Notify,
}

impl Agenda {
    /// Notes that a message is due then: somebody has put it into the index.
    pub fn note(&self, at: DateTime<Utc>) {
        {
            let mut told = self.told.lock().expect("no holder panics");
            *told = told.map_or(Some(at), |told| Some(told.min(at)));
        }
        self.know(at);
    }

    /// Notes that the clerk has something to do then.
    fn know(&self, at: DateTime<Utc>) {
        let mut next = self.next.lock().expect("no holder panics");
        if next.is_none_or(|next| at < next) {
            *next = Some(at);
            self.changed.notify_one();
        }
    }

    /// Forgets what was known, since the index is about to be read; answers the earliest time of which somebody told. What is
    /// noted meanwhile stays.
    fn take(&self) -> Option<DateTime<Utc>> {
        *self.next.lock().expect("no holder panics") = None;
        self.told.lock().expect("no holder panics").take()
    }

    /// Waits until a message is due, but no longer than `longest`.
    async fn due(&self, clock: &dyn Clock, longest: Duration) {
        let end = Instant::now() + longest;
        loop {
            let next = *self.next.lock().expect("no holder panics");
            let left = next.map(|next| (next - clock.now()).to_std().unwrap_or_default());
            let until_end = end.saturating_duration_since(Instant::now());
            if until_end.is_zero() || left.is_some_and(|left| left.is_zero()) {
                return;
            }
            let pause = left.map_or(until_end, |left| left.min(CLOCK_EVERY).min(until_end));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

/// Hands over what is due until the shard is given up.
pub async fn keep(deps: &Deps, hold: &Hold, links: &Links, agenda: &Agenda) {
    let mut clerk = Clerk::new(deps, hold, links);
    let settled = Instant::now() + MAX_WAIT;
    let mut pause = FIRST_PAUSE;
    while !super::is_over(hold) {
        let begun = Instant::now();
        clerk.look_from(agenda.take());
        let mut handed = 0;
        let done = tokio::select! {
            done = clerk.hand_over(&mut handed) => done,
            () = super::over(hold) => return,
        };
        if handed > 0 || done.is_ok() {
            pause = FIRST_PAUSE;
        }
        match done {
            Ok(next) => {
                if let Some(next) = next {
                    agenda.know(next);
                }
                // What the last owner was told of a moment ago may not come here.
                let is_settled = begun >= settled;
                let longest = if is_settled {
                    super::SWEEP_INTERVAL
                } else {
                    super::FIRST_SWEEPS_INTERVAL
                };
                let longest = clerk.until_again().map_or(longest, |again| longest.min(again));
                tokio::select! {
                    () = agenda.due(deps.clock.as_ref(), longest) => {}
                    () = super::over(hold) => {}
                }
            }
            Err(error) => {
                warn!(shard = %hold.shard, error = %chain(&error), "scheduled messages are handed over later");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = super::over(hold) => {}
                }
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use futures::FutureExt as _;
    use shared::clock::SteppedClock;

    use super::*;

    #[tokio::test]
    async fn only_the_earliest_time_counts() {
        let clock = SteppedClock::at(DateTime::UNIX_EPOCH);
        let agenda = Agenda::default();
        let at = |seconds| clock.now() + TimeDelta::seconds(seconds);
        agenda.note(at(20));
        agenda.note(at(10));
        agenda.note(at(30));
        let long = Duration::from_mins(1);
        assert!(agenda.due(&clock, long).now_or_never().is_none());
        clock.advance(TimeDelta::seconds(10));
        assert!(agenda.due(&clock, long).now_or_never().is_some(), "it is time");
        assert_eq!(agenda.take(), Some(at(0)), "the earliest of which somebody told");
        assert!(
            agenda.due(&clock, long).now_or_never().is_none(),
            "nothing is known"
        );
        agenda.know(at(0));
        assert_eq!(agenda.take(), None, "nobody told of it");
        assert!(agenda.due(&clock, Duration::ZERO).now_or_never().is_some());
    }
}
