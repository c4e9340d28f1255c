//! What a keeper knows of the leases, and decides by it. Nothing here waits, calls anything or asks what time it is.
//! So the `model` can check these very decisions over all runs of a few daemons.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, LONGEST_LEASE, Lease};
use tokio::time::Instant;

use super::giving::Giving;
#[cfg(test)]
use super::model::Key;
use super::share::{Plan, View};
use super::watch::Watch;

/// What a daemon serves, with the token it serves under; `None` for a shard whose lease is lost and whose serving has
/// not ended yet.
pub(super) type Serving = BTreeMap<Shard, Option<u64>>;

/// What was found in the table between two moments.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub leases: Vec<Lease>,
    pub beats: Vec<Beat>,
    /// The daemons whose beats are there and cannot be read. The number stays for as long as such a beat rests.
    pub strange: BTreeMap<String, u64>,
    /// Shards whose leases are there and cannot be read.
    pub unreadable: BTreeSet<Shard>,
    pub begun: Instant,
    pub ended: Instant,
    /// Whether this daemon counted as alive all the while.
    pub lives: bool,
}

/// What one daemon knows of all leases.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    me: String,
    shards: u32,
    duration: Duration,
    watch: Watch,
    giving: Giving,
    free_since: BTreeMap<Shard, Instant>,
    /// The daemons that get shares, by the last look.
    sharing: BTreeSet<String>,
}

impl Ledger {
    /// For a daemon of this name and this lease duration.
    pub fn new(me: String, shards: u32, duration: Duration) -> Self {
        let duration = duration.min(LONGEST_LEASE);
        Self {
            me,
            shards,
            duration,
            watch: Watch::new(duration),
            giving: Giving::default(),
            free_since: BTreeMap::new(),
            sharing: BTreeSet::new(),
        }
    }

    /// The shards that are served under a lease that is not this daemon's, or no longer. A lease that cannot be read
    /// says nothing: fences still tell who is too late.
    pub fn stolen(&self, look: &Look, serving: &Serving) -> Vec<Shard> {
        let is_ours = |shard: Shard, token: u64| {
            let names_it = look.leases.iter().any(|lease| {
                lease.shard == shard && lease.token == token && lease.owner.as_deref() == Some(&self.me)
            });
            names_it || look.unreadable.contains(&shard)
        };
        let live = serving
            .iter()
            .filter_map(|(shard, token)| Some((*shard, (*token)?)));
        live.filter(|(shard, token)| !is_ours(*shard, *token))
            .map(|(shard, _)| shard)
            .collect()
    }

    /// Takes in a look, and answers what to do. A daemon that is not `taking` lets go what it would take
    /// anew otherwise.
    pub fn plan(&mut self, look: &Look, serving: &Serving, taking: bool) -> Plan {
        let now = look.ended;
        self.watch.see(look);
        self.giving.see(&self.me, &look.leases);
        let census = self.watch.census();
        let orphans: BTreeSet<Shard> = self
            .free_since
            .iter()
            .filter(|(_, since)| now.duration_since(**since) >= self.duration)
            .map(|(shard, _)| *shard)
            .collect();
        let mut plan = Plan::make(&View {
            me: &self.me,
            shards: self.shards,
            leases: &look.leases,
            unreadable: &look.unreadable,
            held: serving,
            census: &census,
            orphans: &orphans,
            may_give: self.giving.limit(&census.sharing, now),
        });
        self.sharing = census.sharing;
        self.free_since.retain(|shard, _| plan.free.contains(shard));
        for shard in &plan.free {
            self.free_since.entry(*shard).or_insert(now);
        }
        if !taking {
            plan.give.clear();
            // Shards of its own that it would take anew are let go instead.
            let own = |shard: &Shard| {
                let lease = look.leases.iter().find(|lease| lease.shard == *shard);
                lease.is_some_and(|lease| lease.owner.as_deref() == Some(&self.me))
            };
            for (shard, seen) in std::mem::take(&mut plan.take) {
                if let Some(token) = seen.filter(|_| own(&shard)) {
                    plan.let_go.push((shard, token));
                }
            }
        }
        plan
    }

    /// A shard is being handed over to a daemon with fewer.
    pub fn gave(&mut self, shard: Shard) {
        self.giving.gave(shard);
    }

    /// A shard was taken.
    pub fn took(&mut self, shard: Shard) {
        self.giving.took(shard);
    }

    /// A shard that was taken is beyond the share: nobody else took it.
    pub fn took_beyond(&mut self, now: Instant) {
        self.giving.came_back(&self.sharing, now);
    }
}

#[cfg(test)]
impl Ledger {
    /// Whether a shard counts as handed over, and was not taken since.
    pub(super) fn has_given(&self, shard: Shard) -> bool {
        self.giving.has_given(shard)
    }

    pub(super) fn know(&self, key: &mut Key) {
        self.watch.know(key);
    }

    /// Writes down what of it matters later.
    pub(super) fn write(&self, key: &mut Key, long_ago: Duration) {
        self.watch.write(key, long_ago);
        self.giving.write(key);
        key.count(self.free_since.len());
        for (shard, since) in &self.free_since {
            key.shard(*shard);
            key.time(Some(*since), self.duration);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::watch::tests::beat;

    #[test]
    fn a_lease_that_cannot_be_read_takes_nothing_from_who_serves() {
        let ledger = Ledger::new("a".to_owned(), 2, Duration::from_secs(4));
        let now = Instant::now();
        let mut look = Look {
            leases: Vec::new(),
            beats: Vec::new(),
            strange: BTreeMap::new(),
            unreadable: BTreeSet::from([Shard(0)]),
            begun: now,
            ended: now,
            lives: true,
        };
        let serving = Serving::from([(Shard(0), Some(1)), (Shard(1), Some(1))]);
        assert_eq!(ledger.stolen(&look, &serving), [Shard(1)]);
        look.unreadable.clear();
        assert_eq!(ledger.stolen(&look, &serving), [Shard(0), Shard(1)]);
    }

    /// It would hand them over, or let them go, and nobody would take them.
    #[test]
    fn a_daemon_whose_looks_or_beats_failed_keeps_its_shards_from_the_dead() {
        let mut ledger = Ledger::new("a".to_owned(), 4, Duration::from_secs(4));
        let start = Instant::now();
        let lease = |shard| Lease {
            shard: Shard(shard),
            owner: Some("a".to_owned()),
            token: 1,
        };
        let leases: Vec<Lease> = (0..4).map(lease).collect();
        let mut plan = |second: u64, lives: bool, serving: &Serving| {
            let at = start + Duration::from_secs(second);
            let look = Look {
                leases: leases.clone(),
                // The other one has beaten twice.
                beats: vec![beat("a", second), beat("b", second.min(1))],
                strange: BTreeMap::new(),
                unreadable: BTreeSet::new(),
                begun: at,
                ended: at,
                lives,
            };
            ledger.plan(&look, serving, lives)
        };
        let serving = |shards: u32| -> Serving { (0..shards).map(|shard| (Shard(shard), Some(1))).collect() };
        let (all, some) = (serving(4), serving(2));
        plan(0, true, &all);
        assert_eq!(plan(1, true, &all).give.len(), 2, "while both live");
        for second in 2..=7 {
            plan(second, true, &all);
        }
        // No look comes through for four seconds.
        for second in 11..=14 {
            assert_eq!(plan(second, true, &all), Plan::default());
        }
        // Then no beat does, and two shards are lost.
        for second in 15..=18 {
            plan(second, false, &some);
        }
        let revived = plan(19, true, &some);
        let lost = [(Shard(2), Some(1)), (Shard(3), Some(1))];
        assert_eq!((revived.take, revived.let_go), (lost.to_vec(), Vec::new()));
    }
}
