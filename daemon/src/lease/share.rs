//! How shards are spread over daemons: each daemon makes the same plan from the same table.

use std::collections::{BTreeMap, BTreeSet};

use shared::domain::shard::Shard;
use shared::storage::leases::Lease;

use super::watch::Census;

/// What a plan is made from.
#[derive(Debug)]
pub struct View<'a> {
    /// This daemon.
    pub me: &'a str,
    /// How many shards there are.
    pub shards: u32,
    /// The leases as the table has them.
    pub leases: &'a [Lease],
    /// Shards whose leases are there and cannot be read. Whoever serves one keeps it, and nobody takes it.
    pub unreadable: &'a BTreeSet<Shard>,
    /// What this daemon serves, with the token it serves under; `None` for a shard whose lease is
    /// lost and whose serving has not ended yet.
    pub held: &'a BTreeMap<Shard, Option<u64>>,
    /// Who lives.
    pub census: &'a Census,
    /// Shards that nobody has taken for too long.
    pub orphans: &'a BTreeSet<Shard>,
    /// How many shards may be handed over at once.
    pub may_give: usize,
}

/// What one daemon should do now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Shards to take, with the token last seen.
    pub take: Vec<(Shard, Option<u64>)>,
    /// Those of them that are beyond this daemon's share.
    pub beyond: BTreeSet<Shard>,
    /// Shards to hand over, because others have too few.
    pub give: Vec<Shard>,
    /// Shards whose leases name this daemon, which neither serves nor wants them, with their tokens. Others cannot
    /// know that they are free.
    pub let_go: Vec<(Shard, u64)>,
    /// All shards that some daemon could take now.
    pub free: BTreeSet<Shard>,
}

impl Plan {
    /// The plan of one daemon. A shard whose lease names it, but which it does not hold under that very token, is
    /// free to it alone: the answer to a take was lost, or the lease was. Shards are taken up to the share, and
    /// beyond it where nobody else takes them. None is given before it is certain who lives.
    pub fn make(view: &View<'_>) -> Self {
        let leases: BTreeMap<Shard, &Lease> = view.leases.iter().map(|lease| (lease.shard, lease)).collect();
        let mut mine = Vec::new();
        let mut stray = Vec::new();
        let mut free = Vec::new();
        let mut kept = 0;
        for shard in (0..view.shards).map(Shard) {
            if view.unreadable.contains(&shard) {
                kept += usize::from(view.held.get(&shard).is_some_and(Option::is_some));
                continue;
            }
            let lease = leases.get(&shard).copied();
            let seen = lease.map(|lease| lease.token);
            let owner = lease.and_then(|lease| lease.owner.as_deref());
            match view.held.get(&shard) {
                Some(Some(token)) if owner == Some(view.me) && seen == Some(*token) => mine.push(shard),
                // The shard's earlier serving must have ended before it is served anew.
                Some(_) => {}
                None => match (owner, seen) {
                    (Some(owner), Some(token)) if owner == view.me => stray.push((shard, token)),
                    (Some(owner), _) if view.census.alive.contains(owner) => {}
                    _ => free.push((shard, seen)),
                },
            }
        }
        // The rest of an uneven division goes to the daemons that are first by name, which are the oldest. So all
        // daemons come to the same answer, and a new one disturbs no more than it must.
        let mut sharing: BTreeSet<&str> = view.census.sharing.iter().map(String::as_str).collect();
        sharing.insert(view.me);
        let total = usize::try_from(view.shards).unwrap_or(usize::MAX);
        let place = sharing.iter().position(|daemon| *daemon == view.me).unwrap_or(0);
        let fair = total / sharing.len() + usize::from(place < total % sharing.len());
        let wanted = fair.saturating_sub(mine.len() + kept);
        let excess = (mine.len() + kept).saturating_sub(fair);
        let mut plan = Self {
            free: free.iter().map(|(shard, _)| *shard).collect(),
            ..Self::default()
        };
        for (shard, token) in stray {
            if plan.take.len() < wanted {
                plan.take.push((shard, Some(token)));
            } else {
                plan.let_go.push((shard, token));
            }
        }
        for (shard, seen) in free {
            if plan.take.len() < wanted {
                plan.take.push((shard, seen));
            } else if view.orphans.contains(&shard) {
                plan.beyond.insert(shard);
            }
        }
        let orphans = plan
            .beyond
            .iter()
            .map(|shard| (*shard, leases.get(shard).map(|lease| lease.token)));
        plan.take.extend(orphans);
        if view.census.settled && plan.take.is_empty() {
            plan.give = mine.into_iter().rev().take(excess.min(view.may_give)).collect();
        }
        plan
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

    fn living(daemons: &[&str]) -> Census {
        let names: BTreeSet<String> = daemons.iter().map(|&daemon| daemon.to_owned()).collect();
        Census {
            alive: names.clone(),
            sharing: names,
            settled: true,
        }
    }

    /// A daemon that serves what the table says.
    struct Case<'a> {
        me: &'a str,
        shards: u32,
        leases: Vec<Lease>,
        census: Census,
        held: Option<BTreeMap<Shard, Option<u64>>>,
        unreadable: BTreeSet<Shard>,
        orphans: BTreeSet<Shard>,
        may_give: usize,
    }

    impl<'a> Case<'a> {
        fn new(me: &'a str, leases: &[Lease], daemons: &[&str]) -> Self {
            Self {
                me,
                shards: u32::try_from(leases.len()).expect("a few"),
                leases: leases.to_vec(),
                census: living(daemons),
                held: None,
                unreadable: BTreeSet::new(),
                orphans: BTreeSet::new(),
                may_give: usize::MAX,
            }
        }

        fn plan(&self) -> Plan {
            let as_told = || {
                let mine = self
                    .leases
                    .iter()
                    .filter(|lease| lease.owner.as_deref() == Some(self.me));
                mine.map(|lease| (lease.shard, Some(lease.token))).collect()
            };
            let mut plan = Plan::make(&View {
                me: self.me,
                shards: self.shards,
                leases: &self.leases,
                unreadable: &self.unreadable,
                held: &self.held.clone().unwrap_or_else(as_told),
                census: &self.census,
                orphans: &self.orphans,
                may_give: self.may_give,
            });
            // This field is only for the count of orphans.
            plan.free.clear();
            plan
        }
    }

    fn holding(held: &[(u32, Option<u64>)]) -> BTreeMap<Shard, Option<u64>> {
        held.iter()
            .map(|(shard, token)| (Shard(*shard), *token))
            .collect()
    }

    #[test]
    fn a_lone_daemon_takes_everything_that_is_free() {
        let mut case = Case::new("a", &[lease(1, None, 4)], &["a"]);
        case.shards = 3;
        let plan = case.plan();
        assert_eq!(
            plan.take,
            [(Shard(0), None), (Shard(1), Some(4)), (Shard(2), None)]
        );
        assert_eq!(plan.give, []);
    }

    #[test]
    fn a_dead_owners_shards_are_free() {
        let leases = [lease(0, Some("b"), 2), lease(1, Some("b"), 2)];
        assert_eq!(
            Case::new("a", &leases, &["a"]).plan().take,
            [(Shard(0), Some(2)), (Shard(1), Some(2))]
        );
        assert_eq!(Case::new("a", &leases, &["a", "b"]).plan().take, []);
    }

    #[test]
    fn a_shard_that_the_table_gives_to_a_daemon_that_holds_none_is_free_to_it() {
        let leases = [lease(0, Some("a"), 7), lease(1, Some("a"), 3)];
        let mut case = Case::new("a", &leases, &["a"]);
        case.held = Some(holding(&[(1, Some(3))]));
        assert_eq!(case.plan().take, [(Shard(0), Some(7))], "an answer was lost");
        // The table does not tell another daemon that the shard is free.
        case.me = "b";
        case.census = living(&["a", "b"]);
        case.held = Some(holding(&[]));
        assert_eq!(case.plan().take, []);
    }

    #[test]
    fn a_lost_shard_is_taken_anew_when_its_serving_has_ended() {
        let leases = [lease(0, Some("a"), 7)];
        let mut case = Case::new("a", &leases, &["a"]);
        case.held = Some(holding(&[(0, None)]));
        assert_eq!(case.plan(), Plan::default());
        case.held = Some(holding(&[]));
        assert_eq!(case.plan().take, [(Shard(0), Some(7))]);
        // A lease under another token than the one it serves under does not count as held.
        case.held = Some(holding(&[(0, Some(6))]));
        assert_eq!(case.plan(), Plan::default());
    }

    #[test]
    fn a_shard_of_ones_own_beyond_the_share_is_let_go() {
        let leases = [lease(0, Some("a"), 7), lease(1, Some("a"), 3)];
        let mut case = Case::new("a", &leases, &["a", "b"]);
        case.held = Some(holding(&[(0, Some(7))]));
        let plan = case.plan();
        assert_eq!((plan.take.len(), plan.let_go), (0, vec![(Shard(1), 3)]));
    }

    #[test]
    fn a_shard_whose_lease_cannot_be_read_is_kept_and_not_taken() {
        let leases = [lease(0, Some("a"), 7), lease(2, None, 3)];
        let mut case = Case::new("a", &leases, &["a"]);
        (case.shards, case.unreadable) = (3, BTreeSet::from([Shard(1)]));
        assert_eq!(case.plan().take, [(Shard(2), Some(3))]);
        case.held = Some(holding(&[(0, Some(7)), (1, Some(4))]));
        case.census = living(&["a", "b"]);
        assert_eq!(case.plan(), Plan::default(), "it counts as held");
        case.census = living(&["a", "b", "c"]);
        assert_eq!(case.plan().give, [Shard(0)], "it cannot be released itself");
    }

    #[test]
    fn no_daemon_is_idle_while_another_has_two() {
        let leases: Vec<Lease> = (0..4)
            .map(|shard| lease(shard, Some(if shard < 2 { "a" } else { "b" }), 1))
            .collect();
        let three = ["a", "b", "c"];
        assert_eq!(Case::new("a", &leases, &three).plan().give, []);
        assert_eq!(Case::new("b", &leases, &three).plan().give, [Shard(3)]);
        let freed = [&leases[..3], &[lease(3, None, 1)]].concat();
        assert_eq!(Case::new("c", &freed, &three).plan().take, [(Shard(3), Some(1))]);
    }

    #[test]
    fn a_newcomer_is_given_its_share() {
        let leases: Vec<Lease> = (0..4).map(|shard| lease(shard, Some("a"), 1)).collect();
        let both = ["a", "b"];
        let mut case = Case::new("a", &leases, &both);
        assert_eq!(case.plan().give, [Shard(3), Shard(2)]);
        case.census.settled = false;
        assert_eq!(case.plan().give, [], "not before it is known to live");
        case.census.settled = true;
        case.may_give = 1;
        assert_eq!(case.plan().give, [Shard(3)]);
        assert_eq!(Case::new("b", &leases, &both).plan().take, []);
        let handed_over = [
            lease(0, Some("a"), 1),
            lease(1, Some("a"), 1),
            lease(2, None, 1),
            lease(3, None, 1),
        ];
        assert_eq!(
            Case::new("b", &handed_over, &both).plan().take,
            [(Shard(2), Some(1)), (Shard(3), Some(1))]
        );
        assert_eq!(
            Case::new("a", &handed_over, &both).plan(),
            Plan::default(),
            "and is not robbed of it"
        );
    }

    #[test]
    fn a_daemon_that_hands_over_has_no_share_and_keeps_what_it_has() {
        let leases = [
            lease(0, Some("a"), 1),
            lease(1, Some("a"), 1),
            lease(2, None, 1),
            lease(3, Some("b"), 1),
        ];
        let mut case = Case::new("b", &leases, &["a", "b"]);
        assert_eq!(case.plan().take, [(Shard(2), Some(1))]);
        case.leases[1].owner = None;
        assert_eq!(
            case.plan().take,
            [(Shard(1), Some(1))],
            "two of four are its share"
        );
        case.census.sharing.remove("a");
        assert_eq!(
            case.plan().take,
            [(Shard(1), Some(1)), (Shard(2), Some(1))],
            "and all that is free where the other has none"
        );
    }

    #[test]
    fn what_nobody_takes_is_taken_beyond_the_share() {
        let leases = [
            lease(0, Some("a"), 1),
            lease(1, Some("a"), 1),
            lease(2, None, 5),
            lease(3, Some("dead"), 6),
        ];
        let mut case = Case::new("a", &leases, &["a", "b"]);
        assert_eq!(case.plan(), Plan::default());
        case.orphans = BTreeSet::from([Shard(3)]);
        let plan = case.plan();
        assert_eq!(plan.take, [(Shard(3), Some(6))]);
        assert_eq!(plan.beyond, BTreeSet::from([Shard(3)]));
    }
}
