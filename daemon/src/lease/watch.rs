//! Who is alive, by this machine's monotonic clock alone.

#[cfg(test)]
use std::collections::BTreeMap;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use shared::storage::leases::LONGEST_LEASE;
use tokio::time::Instant;

use super::ledger::Look;
#[cfg(test)]
use super::model::Key;

/// After so long without a look, silence does not count for [`MOMENT`]. An outage of the table silences all daemons,
/// and the first that comes back must not rob the others. Nor does it count after looks of a daemon that could not
/// beat itself: writes may be away for all while reads go on.
const BLIND_AFTER: Duration = Duration::from_secs(3);

/// How long silence does not count after an outage: two beats.
const MOMENT: Duration = Duration::from_secs(2);

/// What is known of the daemons.
#[derive(Debug, Clone)]
pub struct Watch {
    own_duration: Duration,
    seen: HashMap<String, Seen>,
    last_look: Option<Instant>,
    /// Whether this daemon did not count as alive at the last look.
    is_blind: bool,
    /// Until then nobody counts as dead.
    lenient_until: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Seen {
    /// The last beat's number, or that of one which cannot be read; `None` where the daemon owns a shard and has no beat.
    counter: Option<u64>,
    duration: Duration,
    draining: bool,
    /// When the beat was last found changed: the end of that look, since the beat may have changed that late.
    changed: Instant,
    /// The beginning of the last look that found the beat unchanged: it may have changed right after.
    unchanged: Instant,
    /// Whether it was ever found changed.
    moved: bool,
    /// Whether it was known to live by the last look at which silence counted, or was found changed since.
    lived: bool,
}

/// What the last look says of all daemons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// The daemons that may be alive: their shards are their own.
    pub alive: BTreeSet<String>,
    /// Those of them that get shares: all but the ones that hand over. While silence does not count, those that were dead
    /// before that get none.
    pub sharing: BTreeSet<String>,
    /// Whether each of them is known to live, so that their number is certain.
    pub settled: bool,
}

impl Watch {
    /// For a daemon that waits `own_duration` for an owner without a beat.
    pub fn new(own_duration: Duration) -> Self {
        Self {
            own_duration: own_duration.min(LONGEST_LEASE),
            seen: HashMap::new(),
            last_look: None,
            is_blind: false,
            lenient_until: None,
        }
    }

    /// Takes in what a look found.
    pub(super) fn see(&mut self, look: &Look) {
        let Look {
            leases,
            beats,
            strange,
            begun,
            ended,
            lives,
            ..
        } = look;
        let (begun, ended) = (*begun, *ended);
        let last = self.last_look.replace(ended);
        let was_away = last.is_some_and(|last| begun.saturating_duration_since(last) > BLIND_AFTER);
        let was_blind = std::mem::replace(&mut self.is_blind, !lives);
        if was_away || was_blind || self.is_blind {
            self.lenient_until = Some(ended + MOMENT);
        }
        let owners: BTreeSet<&str> = leases.iter().filter_map(|lease| lease.owner.as_deref()).collect();
        self.seen.retain(|daemon, _| {
            owners.contains(daemon.as_str())
                || beats.iter().any(|beat| beat.daemon == *daemon)
                || strange.contains_key(daemon)
        });
        for beat in beats {
            // A longer duration is a defect, and must not keep shards for ever.
            let duration = Duration::from_millis(beat.duration_ms).min(LONGEST_LEASE);
            self.note(
                &beat.daemon,
                Some(beat.counter),
                duration,
                beat.draining,
                begun,
                ended,
            );
        }
        // A newer version may beat in a shape of its own. What changes is alive, whatever it says.
        for (daemon, mark) in strange {
            self.note(daemon, Some(*mark), self.own_duration, true, begun, ended);
        }
        for owner in owners {
            if !beats.iter().any(|beat| beat.daemon == owner) && !strange.contains_key(owner) {
                self.note(owner, None, self.own_duration, true, begun, ended);
            }
        }
        if self.lenient_until.is_none_or(|until| begun >= until) {
            for seen in self.seen.values_mut() {
                seen.lived = seen.moved && seen.may_live();
            }
        }
    }

    fn note(
        &mut self,
        daemon: &str,
        counter: Option<u64>,
        duration: Duration,
        draining: bool,
        begun: Instant,
        ended: Instant,
    ) {
        match self.seen.get_mut(daemon) {
            Some(seen) if seen.counter == counter => seen.unchanged = begun.max(seen.unchanged),
            known => {
                let moved = known.is_some() && counter.is_some();
                let seen = Seen {
                    counter,
                    duration,
                    draining,
                    changed: ended,
                    unchanged: ended,
                    moved,
                    lived: moved,
                };
                self.seen.insert(daemon.to_owned(), seen);
            }
        }
    }

    /// What is known by the last look.
    pub fn census(&self) -> Census {
        let mut census = Census {
            settled: true,
            ..Census::default()
        };
        for (daemon, seen) in &self.seen {
            let may_live = seen.may_live();
            let is_excused = self.lenient_until.is_some_and(|until| seen.unchanged < until);
            if !may_live && !is_excused {
                continue;
            }
            census.alive.insert(daemon.clone());
            if !seen.draining && (may_live || seen.lived) {
                census.sharing.insert(daemon.clone());
            }
            census.settled &= seen.moved && may_live;
        }
        census
    }
}

impl Seen {
    /// Whether its beat was found changed within its duration. A daemon that is seen for the first time gets its
    /// whole duration, whatever its item's age.
    fn may_live(&self) -> bool {
        self.unchanged.saturating_duration_since(self.changed) <= self.duration
    }
}

#[cfg(test)]
impl Watch {
    pub(super) fn know(&self, key: &mut Key) {
        for (daemon, seen) in &self.seen {
            if let Some(counter) = seen.counter {
                key.know(daemon, counter);
            }
        }
    }

    /// Writes down what of it matters later.
    pub(super) fn write(&self, key: &mut Key, long_ago: Duration) {
        key.time(self.last_look, long_ago);
        key.flag(self.is_blind);
        key.time(self.lenient_until, long_ago);
        key.count(self.seen.len());
        for (daemon, seen) in self.seen.iter().collect::<BTreeMap<_, _>>() {
            key.name(daemon);
            key.counter(daemon, seen.counter);
            key.flag(seen.draining);
            key.flag(seen.moved);
            key.flag(seen.lived);
            key.time(Some(seen.changed), long_ago);
            key.time(Some(seen.unchanged), long_ago);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
