//! Who is alive, by this machine's monotonic clock alone.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use shared::storage::leases::Beat;
use tokio::time::Instant;

/// What is known of the daemons' beats.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<String, Seen>,
    first_look: Option<Instant>,
    longest: Duration,
}

#[derive(Debug)]
struct Seen {
    counter: u64,
    duration: Duration,
    changed: Instant,
}

impl Watch {
    /// Takes in the beats as they are `now`.
    pub fn see(&mut self, beats: &[Beat], now: Instant) {
        self.first_look.get_or_insert(now);
        self.seen
            .retain(|daemon, _| beats.iter().any(|beat| beat.daemon == *daemon));
        for beat in beats {
            let duration = Duration::from_millis(beat.duration_ms);
            self.longest = self.longest.max(duration);
            match self.seen.get_mut(&beat.daemon) {
                Some(seen) if seen.counter == beat.counter => {}
                Some(seen) => {
                    *seen = Seen {
                        counter: beat.counter,
                        duration,
                        changed: now,
                    }
                }
                None => {
                    self.seen.insert(
                        beat.daemon.clone(),
                        Seen {
                            counter: beat.counter,
                            duration,
                            changed: now,
                        },
                    );
                }
            }
        }
    }

    /// The daemons whose beat has changed within their duration.
    pub fn living(&self, now: Instant) -> BTreeSet<String> {
        self.seen
            .keys()
            .filter(|daemon| self.is_alive(daemon, now))
            .cloned()
            .collect()
    }

    /// Whether this daemon's beat has changed within its duration. One that is seen for
    /// the first time gets its whole duration.
    fn is_alive(&self, daemon: &str, now: Instant) -> bool {
        self.seen
            .get(daemon)
            .is_some_and(|seen| now.duration_since(seen.changed) <= seen.duration)
    }

    /// Whether every daemon that is silent has been watched for its whole duration, so
    /// that counting the living gives their true number.
    pub fn settled(&self, now: Instant) -> bool {
        self.first_look
            .is_some_and(|first| now.duration_since(first) > self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(daemon: &str, counter: u64) -> Beat {
        Beat {
            daemon: daemon.to_owned(),
            counter,
            duration_ms: 4_000,
            at: chrono::DateTime::UNIX_EPOCH,
            round_trips_since: None,
            vitals: None,
        }
    }

    #[test]
    fn a_daemon_is_dead_when_its_counter_stands_for_longer_than_its_duration() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        watch.see(&[beat("a", 7)], at(0));
        assert!(
            watch.is_alive("a", at(4)),
            "its whole duration, whatever its item's age"
        );
        assert!(!watch.is_alive("a", at(5)));
        watch.see(&[beat("a", 8)], at(5));
        assert!(watch.is_alive("a", at(6)), "it beats again");
        watch.see(&[], at(7));
        assert!(!watch.is_alive("a", at(7)), "it has retired");
        assert!(!watch.is_alive("b", at(7)));
    }
}
