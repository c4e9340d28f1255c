//! Whether to hand shards over to daemons that have too few. A daemon that beats may still be unable to take. Shards
//! that nobody took come back, and must not go to and fro for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use shared::domain::shard::Shard;
use shared::storage::leases::Lease;
use tokio::time::Instant;

#[cfg(test)]
use super::model::Key;

/// The first pause before another attempt to hand a shard over, after one came back. Each further pause is twice as
/// long.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// How generous this daemon is.
#[derive(Debug, Clone, Default)]
pub struct Giving {
    refused: Option<Refused>,
    /// Shards handed over that nobody was found to have taken yet.
    given: BTreeSet<Shard>,
}

#[derive(Debug, Clone)]
struct Refused {
    pause: Duration,
    until: Instant,
    /// The daemons that did not take it.
    by: BTreeSet<String>,
}

impl Giving {
    /// How many shards may be handed over now to the daemons of `sharing`.
    pub fn limit(&self, sharing: &BTreeSet<String>, now: Instant) -> usize {
        match &self.refused {
            // A new daemon is trusted.
            Some(refused) if sharing.is_subset(&refused.by) => {
                usize::from(now >= refused.until && self.given.is_empty())
            }
            _ => usize::MAX,
        }
    }

    /// A shard is being handed over.
    pub fn gave(&mut self, shard: Shard) {
        self.given.insert(shard);
    }

    /// This daemon took a shard, which is therefore handed over no longer.
    pub fn took(&mut self, shard: Shard) {
        self.given.remove(&shard);
    }

    /// The shard that it took is beyond its share, since none of `sharing` took it.
    pub fn came_back(&mut self, sharing: &BTreeSet<String>, now: Instant) {
        let pause = match &self.refused {
            Some(refused) if now < refused.until => refused.pause,
            Some(refused) => (refused.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        self.refused = Some(Refused {
            pause,
            until: now + pause,
            by: sharing.clone(),
        });
    }

    /// Takes in who has the shards now. A daemon that took one which was handed over can take.
    pub fn see(&mut self, me: &str, leases: &[Lease]) {
        for lease in leases {
            let is_anothers = lease.owner.as_deref().is_some_and(|owner| owner != me);
            if is_anothers && self.given.remove(&lease.shard) {
                self.refused = None;
            }
        }
    }
}

#[cfg(test)]
impl Giving {
    /// Whether a shard counts as handed over, and was not taken since.
    pub(super) fn has_given(&self, shard: Shard) -> bool {
        self.given.contains(&shard)
    }

    /// Writes down what of it matters later.
    pub(super) fn write(&self, key: &mut Key) {
        key.count(self.given.len());
        for shard in &self.given {
            key.shard(*shard);
        }
        key.flag(self.refused.is_some());
        if let Some(refused) = &self.refused {
            key.number(i64::try_from(refused.pause.as_secs()).expect("an hour at most"));
            key.time(Some(refused.until), Duration::ZERO);
            key.count(refused.by.len());
            for daemon in &refused.by {
                key.name(daemon);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn lease(owner: Option<&str>) -> Lease {
        Lease {
            shard: Shard(3),
            owner: owner.map(str::to_owned),
            token: 1,
        }
    }

    #[test]
    fn what_came_back_is_offered_one_at_a_time_after_growing_pauses() {
        let start = Instant::now();
        let minutes = |minutes| start + Duration::from_mins(minutes);
        let both = names(&["a", "b"]);
        let mut giving = Giving::default();
        assert_eq!(giving.limit(&both, start), usize::MAX);
        giving.gave(Shard(3));
        giving.see("a", &[lease(Some("a"))]);
        giving.see("a", &[lease(None)]);
        giving.took(Shard(3));
        giving.came_back(&both, start);
        assert_eq!(giving.limit(&both, start), 0, "not to and fro");
        assert_eq!(
            giving.limit(&names(&["a", "b", "c"]), start),
            usize::MAX,
            "a newcomer may take"
        );
        assert_eq!(giving.limit(&both, minutes(1)), 1);
        giving.gave(Shard(3));
        assert_eq!(giving.limit(&both, minutes(1)), 0, "one at a time");
        giving.took(Shard(3));
        giving.came_back(&both, minutes(1));
        assert_eq!(giving.limit(&both, minutes(2)), 0, "longer each time");
        assert_eq!(giving.limit(&both, minutes(3)), 1);
        giving.gave(Shard(3));
        giving.see("a", &[lease(Some("b"))]);
        assert_eq!(giving.limit(&both, minutes(3)), usize::MAX, "it can take again");
    }

    #[test]
    fn what_came_back_within_the_share_is_handed_over_no_longer() {
        let start = Instant::now();
        let both = names(&["a", "b"]);
        let mut giving = Giving::default();
        // The other daemon died before it took it.
        giving.gave(Shard(3));
        giving.took(Shard(3));
        // It came back, beats, and does not take the next one.
        giving.gave(Shard(2));
        giving.took(Shard(2));
        giving.came_back(&both, start);
        assert_eq!(giving.limit(&both, start), 0);
        assert_eq!(
            giving.limit(&both, start + FIRST_PAUSE),
            1,
            "nothing is on its way"
        );
    }
}
