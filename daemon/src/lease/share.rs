//! How shards spread over daemons: each comes to the same plan from the same table.

use std::collections::{BTreeMap, BTreeSet};

use shared::domain::shard::Shard;
use shared::storage::leases::Lease;

/// What one daemon should do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Shards without a living owner, with the token last seen.
    pub take: Vec<(Shard, Option<u64>)>,
    /// Shards to hand over, because others have too few.
    pub give: Vec<Shard>,
}

impl Plan {
    /// The plan of `me`. `settled` says that the living are known for sure: before that
    /// only shards that no one owns are taken, and none is given.
    pub fn make(me: &str, shards: u32, leases: &[Lease], living: &BTreeSet<String>, settled: bool) -> Self {
        let leases: BTreeMap<Shard, &Lease> = leases.iter().map(|lease| (lease.shard, lease)).collect();
        let mut mine = Vec::new();
        let mut free = Vec::new();
        let mut sharing: BTreeSet<&str> = living.iter().map(String::as_str).collect();
        sharing.insert(me);
        for shard in (0..shards).map(Shard) {
            let lease = leases.get(&shard).copied();
            let seen = lease.map(|lease| lease.token);
            match lease.and_then(|lease| lease.owner.as_deref()) {
                Some(owner) if owner == me => mine.push(shard),
                Some(owner) if living.contains(owner) || !settled => {
                    sharing.insert(owner);
                }
                Some(_) | None => free.push((shard, seen)),
            }
        }
        // What does not divide evenly goes to the daemons that are first by name, which are
        // the oldest: everyone comes to the same answer, and a newcomer disturbs no more
        // than it must.
        let total = usize::try_from(shards).unwrap_or(usize::MAX);
        let place = sharing.iter().position(|daemon| *daemon == me).unwrap_or(0);
        let fair = total / sharing.len() + usize::from(place < total % sharing.len());
        let wanted = fair.saturating_sub(mine.len());
        let excess = mine.len().saturating_sub(fair);
        Self {
            take: free.into_iter().take(wanted).collect(),
            give: if settled {
                mine.into_iter().rev().take(excess).collect()
            } else {
                Vec::new()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(shard: u32, owner: Option<&str>, token: u64) -> Lease {
        Lease {
            shard: Shard(shard),
            owner: owner.map(str::to_owned),
            token,
        }
    }

    fn living(daemons: &[&str]) -> BTreeSet<String> {
        daemons.iter().map(|&daemon| daemon.to_owned()).collect()
    }

    #[test]
    fn a_lone_daemon_takes_everything_that_is_free() {
        let plan = Plan::make("a", 3, &[lease(1, None, 4)], &living(&["a"]), true);
        assert_eq!(
            plan.take,
            [(Shard(0), None), (Shard(1), Some(4)), (Shard(2), None)]
        );
        assert_eq!(plan.give, []);
    }

    #[test]
    fn a_dead_owner_is_taken_over_only_once_it_is_known_to_be_dead() {
        let leases = [lease(0, Some("b"), 2), lease(1, Some("b"), 2)];
        assert_eq!(Plan::make("a", 2, &leases, &living(&["a"]), false).take, []);
        assert_eq!(
            Plan::make("a", 2, &leases, &living(&["a"]), true).take,
            [(Shard(0), Some(2)), (Shard(1), Some(2))]
        );
        assert_eq!(Plan::make("a", 2, &leases, &living(&["a", "b"]), true).take, []);
    }

    #[test]
    fn no_daemon_is_idle_while_another_has_two() {
        let leases: Vec<Lease> = (0..4)
            .map(|shard| lease(shard, Some(if shard < 2 { "a" } else { "b" }), 1))
            .collect();
        let three = living(&["a", "b", "c"]);
        assert_eq!(Plan::make("a", 4, &leases, &three, true).give, []);
        assert_eq!(Plan::make("b", 4, &leases, &three, true).give, [Shard(3)]);
        let freed = [&leases[..3], &[lease(3, None, 1)]].concat();
        assert_eq!(
            Plan::make("c", 4, &freed, &three, true).take,
            [(Shard(3), Some(1))]
        );
    }

    #[test]
    fn a_newcomer_is_given_its_share() {
        let leases: Vec<Lease> = (0..4).map(|shard| lease(shard, Some("a"), 1)).collect();
        let both = living(&["a", "b"]);
        assert_eq!(
            Plan::make("a", 4, &leases, &both, true).give,
            [Shard(3), Shard(2)]
        );
        assert_eq!(Plan::make("b", 4, &leases, &both, true).take, []);
        let handed_over = [
            lease(0, Some("a"), 1),
            lease(1, Some("a"), 1),
            lease(2, None, 1),
            lease(3, None, 1),
        ];
        assert_eq!(
            Plan::make("b", 4, &handed_over, &both, true).take,
            [(Shard(2), Some(1)), (Shard(3), Some(1))]
        );
        assert_eq!(
            Plan::make("a", 4, &handed_over, &both, true),
            Plan::default(),
            "and is not robbed of it"
        );
    }
}
