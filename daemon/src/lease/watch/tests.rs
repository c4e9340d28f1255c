use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Lease};

use super::*;

const OWN: Duration = Duration::from_secs(4);

/// A beat of a daemon with a lease of four seconds.
pub fn beat(daemon: &str, counter: u64) -> Beat {
    Beat {
        daemon: daemon.to_owned(),
        counter,
        duration_ms: 4_000,
        at: chrono::DateTime::UNIX_EPOCH,
        round_trips_since: None,
        draining: false,
        vitals: None,
    }
}

/// Looks that take no time, by the second.
struct Looks {
    watch: Watch,
    start: Instant,
}

impl Looks {
    fn new() -> Self {
        Self {
            watch: Watch::new(OWN),
            start: Instant::now(),
        }
    }

    fn look(&mut self, at: u64, beats: &[Beat], leases: &[Lease]) -> Census {
        self.slow_look(at, at, beats, leases)
    }

    fn slow_look(&mut self, begun: u64, ended: u64, beats: &[Beat], leases: &[Lease]) -> Census {
        self.look_that((begun, ended), true, beats, &[], leases)
    }

    /// A look of a daemon that cannot beat.
    fn blind_look(&mut self, at: u64, beats: &[Beat]) -> Census {
        self.look_that((at, at), false, beats, &[], &[])
    }

    /// A look that cannot read a beat.
    fn look_at_strange(&mut self, at: u64, strange: (&str, u64), leases: &[Lease]) -> Census {
        self.look_that((at, at), true, &[], &[strange], leases)
    }

    fn look_that(
        &mut self,
        (begun, ended): (u64, u64),
        lives: bool,
        beats: &[Beat],
        strange: &[(&str, u64)],
        leases: &[Lease],
    ) -> Census {
        let at = |seconds| self.start + Duration::from_secs(seconds);
        self.watch.see(&Look {
            leases: leases.to_vec(),
            beats: beats.to_vec(),
            strange: strange
                .iter()
                .map(|&(daemon, mark)| (daemon.to_owned(), mark))
                .collect(),
            unreadable: BTreeSet::new(),
            begun: at(begun),
            ended: at(ended),
            lives,
        });
        self.watch.census()
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_daemon_is_dead_when_its_counter_stands_for_longer_than_its_duration() {
    let mut looks = Looks::new();
    let census = looks.look(0, &[beat("a", 7)], &[]);
    assert_eq!(census.alive, names(&["a"]), "whatever its item's age");
    assert!(!census.settled, "it may have been dead for hours");
    looks.look(2, &[beat("a", 7)], &[]);
    let census = looks.look(4, &[beat("a", 7)], &[]);
    assert_eq!(census.alive, names(&["a"]), "its whole duration");
    let census = looks.look(5, &[beat("a", 7)], &[]);
    assert_eq!((census.alive, census.settled), (names(&[]), true));
    let census = looks.look(6, &[beat("a", 8)], &[]);
    assert_eq!(
        (census.alive, census.settled),
        (names(&["a"]), true),
        "it beats again"
    );
    let census = looks.look(7, &[], &[]);
    assert_eq!(census.alive, names(&[]), "it has retired");
}

#[test]
fn a_slow_look_makes_nobody_dead_before_its_time() {
    let mut looks = Looks::new();
    looks.look(0, &[beat("a", 7)], &[]);
    looks.look(1, &[beat("a", 8)], &[]);
    // It may have read the beat at its very beginning.
    let census = looks.slow_look(4, 7, &[beat("a", 8)], &[]);
    assert_eq!(census.alive, names(&["a"]));
    // And a beat that changed may have changed at its end.
    let census = looks.slow_look(8, 11, &[beat("a", 9)], &[]);
    assert_eq!(census.alive, names(&["a"]));
    looks.look(13, &[beat("a", 9)], &[]);
    let census = looks.look(15, &[beat("a", 9)], &[]);
    assert_eq!(census.alive, names(&["a"]));
    let census = looks.look(16, &[beat("a", 9)], &[]);
    assert_eq!(census.alive, names(&[]));
}

#[test]
fn after_an_outage_nobody_is_dead_before_it_could_beat_again() {
    let mut looks = Looks::new();
    looks.look(0, &[beat("a", 7), beat("b", 1)], &[]);
    looks.look(1, &[beat("a", 8), beat("b", 2)], &[]);
    let census = looks.look(60, &[beat("a", 8), beat("b", 2)], &[]);
    assert_eq!(census.alive, names(&["a", "b"]));
    let census = looks.look(61, &[beat("a", 9), beat("b", 2)], &[]);
    assert_eq!(census.alive, names(&["a", "b"]));
    let census = looks.look(62, &[beat("a", 10), beat("b", 2)], &[]);
    assert_eq!(census.alive, names(&["a"]), "it died meanwhile");
}

#[test]
fn after_a_time_without_writes_nobody_is_dead_before_it_could_beat_again() {
    let mut looks = Looks::new();
    let (a, b) = (beat("a", 8), beat("b", 2));
    looks.look(0, &[beat("a", 7), beat("b", 1)], &[]);
    looks.look(1, &[a.clone(), b.clone()], &[]);
    for second in 2..=4 {
        looks.look(second, &[a.clone(), b.clone()], &[]);
    }
    for second in 5..=9 {
        let census = looks.blind_look(second, &[a.clone(), b.clone()]);
        assert_eq!(census.alive, names(&["a", "b"]), "as silent as this one");
    }
    // It beats again, as its own first beat went through.
    let census = looks.look(10, &[a, b.clone()], &[]);
    assert_eq!(census.alive, names(&["a", "b"]));
    let census = looks.look(11, &[beat("a", 9), b.clone()], &[]);
    assert_eq!(census.alive, names(&["a", "b"]));
    let census = looks.look(12, &[beat("a", 10), b], &[]);
    assert_eq!(census.alive, names(&["a"]), "it died meanwhile");
}

/// Who counted them in would hand over, or let go, shards that nobody takes.
#[test]
fn after_an_outage_those_that_were_dead_before_it_get_no_share() {
    let mut looks = Looks::new();
    let (b, dead) = (beat("b", 2), beat("c", 6));
    looks.look(0, &[beat("a", 0), beat("b", 1), beat("c", 5)], &[]);
    for second in 1..=3 {
        looks.look(second, &[beat("a", second), beat("b", 1), dead.clone()], &[]);
    }
    for second in 4..=6 {
        looks.look(second, &[beat("a", second), b.clone(), dead.clone()], &[]);
    }
    let census = looks.look(7, &[beat("a", 7), b.clone(), dead.clone()], &[]);
    assert_eq!(census.alive, names(&["a", "b"]));
    for second in [11, 12] {
        let census = looks.look(second, &[beat("a", second), b.clone(), dead.clone()], &[]);
        assert_eq!(census.alive, names(&["a", "b", "c"]), "whoever is silent");
        assert_eq!(census.sharing, names(&["a", "b"]), "as before");
        assert!(!census.settled, "nothing is given");
    }
    let census = looks.look(13, &[beat("a", 13), b, dead], &[]);
    assert_eq!(census.alive, names(&["a"]));
    assert!(census.settled);
}

#[test]
fn after_a_time_without_writes_those_that_were_dead_before_it_get_no_share() {
    let mut looks = Looks::new();
    let (a, dead) = (beat("a", 7), beat("c", 6));
    looks.look(0, &[beat("a", 0), beat("c", 5)], &[]);
    for second in 1..=7 {
        looks.look(second, &[beat("a", second), dead.clone()], &[]);
    }
    for second in 8..=13 {
        let census = looks.blind_look(second, &[a.clone(), dead.clone()]);
        assert_eq!(census.alive, names(&["a", "c"]));
        assert_eq!(census.sharing, names(&["a"]));
    }
    let census = looks.look(14, &[a, dead], &[]);
    assert_eq!(census.alive, names(&["a", "c"]));
    assert_eq!((census.sharing, census.settled), (names(&["a"]), false));
    // One that was dead and beats again has its share at once.
    let census = looks.look(15, &[beat("a", 8), beat("c", 7)], &[]);
    assert_eq!((census.sharing, census.settled), (names(&["a", "c"]), true));
}

#[test]
fn a_dead_daemon_that_stated_a_huge_duration_stops_nothing_for_ever() {
    let mut looks = Looks::new();
    let huge = Beat {
        duration_ms: u64::MAX,
        ..beat("a", 7)
    };
    assert!(!looks.look(0, std::slice::from_ref(&huge), &[]).settled);
    let most = LONGEST_LEASE.as_secs();
    for second in 1..=most {
        assert!(!looks.look(second, std::slice::from_ref(&huge), &[]).settled);
    }
    let census = looks.look(most + 1, &[huge], &[]);
    assert_eq!((census.alive, census.settled), (names(&[]), true));
}

#[test]
fn an_owner_without_any_beat_gets_this_daemons_own_duration() {
    let mut looks = Looks::new();
    let lease = Lease {
        shard: Shard(0),
        owner: Some("a".to_owned()),
        token: 1,
    };
    let census = looks.look(0, &[], std::slice::from_ref(&lease));
    assert_eq!(census.alive, names(&["a"]));
    assert_eq!(census.sharing, names(&[]));
    looks.look(3, &[], std::slice::from_ref(&lease));
    let census = looks.look(5, &[], std::slice::from_ref(&lease));
    assert_eq!((census.alive, census.settled), (names(&[]), true));
    assert_eq!(looks.look(6, &[beat("a", 1)], &[lease]).alive, names(&["a"]));
}

#[test]
fn a_daemon_whose_beat_cannot_be_read_lives_while_it_changes_and_gets_no_share() {
    let mut looks = Looks::new();
    let lease = Lease {
        shard: Shard(0),
        owner: Some("a".to_owned()),
        token: 1,
    };
    for second in 0..=9 {
        let census = looks.look_at_strange(second, ("a", 1_000 - second), std::slice::from_ref(&lease));
        assert_eq!((census.alive, census.sharing), (names(&["a"]), names(&[])));
        assert_eq!(census.settled, second > 0, "its beat was seen to change");
    }
    // One that has no shard is remembered too.
    for second in 10..=13 {
        let census = looks.look_at_strange(second, ("a", 991), &[]);
        assert_eq!(census.alive, names(&["a"]));
    }
    let census = looks.look_at_strange(14, ("a", 991), &[lease]);
    assert_eq!((census.alive, census.settled), (names(&[]), true));
}

#[test]
fn a_daemon_that_hands_over_counts_for_no_share() {
    let mut looks = Looks::new();
    looks.look(0, &[beat("a", 7)], &[]);
    let handing_over = Beat {
        draining: true,
        ..beat("a", 8)
    };
    let census = looks.look(1, &[handing_over], &[]);
    assert_eq!(census.alive, names(&["a"]), "its shards are its own until then");
    assert_eq!(census.sharing, names(&[]));
}
