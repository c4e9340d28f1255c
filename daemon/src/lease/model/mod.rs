//! A model of the leases, which is walked through from end to end: two or three daemons, one or two shards, and a few
//! faults at any moments of a run. What daemons decide is decided by the product's own code: the ledger (with its
//! watch, plan and giving) and the life. What they do is here: calls that fail, whose answers are lost or slow, which
//! land after they were given up, or whose earlier attempt lands once more; outages for one or all; processes that
//! stand still, are killed, hand over, and start anew under another name.
//!
//! What must hold:
//!
//! - At no moment do two daemons serve a shard. Where clocks may stand with their machines, at no moment do two serve
//!   it under valid fences.
//! - No shard is served under a token that is not higher than all it was served under before.
//! - No shard counts as handed over with a daemon that serves it and keeps it.
//! - From every state, once faults are over, every shard is served within some seconds, in whatever order daemons act.
//!   Fairness is that of [`search`]: everyone beats and looks once a second. So no shard stays unserved for ever while
//!   a daemon lives.
//!
//! Each rule of the protocol can be broken (`Rules`); a test asserts that the walk then finds what goes wrong. Time is
//! that of the product, in steps of a second, so nothing is said of what happens within a fraction of one.

mod acts;
mod key;
mod search;
mod steps;
mod table;
mod world;
mod written;

use self::search::{Findings, search};
use self::steps::{Bounds, Event, Fate, Rules, Step};
use self::table::{Table, Write};

pub(super) use self::key::Key;

use proptest::prelude::*;
use shared::domain::network::Network;
use shared::domain::shard::Shard;
use shared::storage::leases::Leases;
use testbed::world::World as Stored;

/// Two daemons and one shard; whatever may go wrong does once. Walks that look for what a broken rule does go this far:
/// they end at the first thing that they find. Walks that find nothing go less far, except in [`more_of_everything`].
const TWO: Bounds = Bounds {
    daemons: 2,
    starts: 3,
    shards: 1,
    faults: 1,
    may_happen: |_| true,
    seconds: 12,
    takes_turns: true,
    clocks_may_stand: false,
    may_go_unheard: false,
    none_may_be_robbed: false,
    is_calm: false,
    rules: Rules::ALL,
};

/// Walks through all runs, none of which may break a rule.
fn holds(bounds: &Bounds) -> Findings {
    let found = search(bounds);
    println!(
        "{} states, {} steps, every shard served within {} s: {:?}",
        found.states, found.steps, found.slowest, found.events
    );
    assert!(found.counterexample.is_none(), "{:?}", found.counterexample);
    found
}

/// Walks through all runs under a broken rule, until one shows what comes of it.
fn breaks(bounds: &Bounds, what: &str) {
    let found = search(bounds);
    let counterexample = found.counterexample.expect("the rule is there for something");
    println!("{counterexample:?}");
    assert_eq!(counterexample.what, what);
}

fn is_pause(step: &Step) -> bool {
    matches!(step, Step::Second(Event::Pause(_)))
}

/// The faults that matter in pairs: a process stands still, and a take is answered or a beat lands late.
fn is_delay(step: &Step) -> bool {
    let is_late = matches!(
        step,
        Step::Act(_, Some((_, Fate::Slow))) | Step::Beat(_, Fate::Echoes)
    );
    is_pause(step) || is_late
}

/// The table is away for all daemons, in whatever way.
fn is_outage_for_all(step: &Step) -> bool {
    matches!(step, Step::Second(Event::OutageBegins(outage)) if outage.of.is_none())
}

#[test]
fn one_fault_of_any_kind_at_any_moment() {
    let found = holds(&Bounds { seconds: 8, ..TWO });
    for event in [
        "a free shard is taken",
        "a shard is taken over",
        "a shard of its own is taken anew",
        "a shard of its own is let go",
        "a shard is taken beyond the share",
        "a shard is handed over",
        "a shard is released",
        "a write lands late",
        "a daemon leaves",
    ] {
        assert!(found.events.contains_key(event), "{event}: never");
    }
    holds(&Bounds {
        starts: 2,
        shards: 2,
        seconds: 4,
        ..TWO
    });
}

#[test]
fn one_fault_of_a_call_while_each_step_comes_between_any_two_of_the_other() {
    holds(&Bounds {
        starts: 2,
        may_happen: |step| !matches!(step, Step::Second(_)),
        seconds: 2,
        takes_turns: false,
        ..TWO
    });
}

#[test]
fn two_delays_at_any_moments() {
    let found = holds(&Bounds {
        starts: 2,
        faults: 2,
        may_happen: is_delay,
        seconds: 6,
        ..TWO
    });
    let event = "a shard was taken too late to be served";
    assert!(found.events.contains_key(event), "{event}: never");
}

#[test]
fn a_machine_stands_still_with_its_clock() {
    holds(&Bounds {
        starts: 2,
        seconds: 6,
        clocks_may_stand: true,
        ..TWO
    });
}

#[test]
fn a_daemon_goes_unheard_for_ever() {
    holds(&Bounds {
        starts: 2,
        seconds: 6,
        may_go_unheard: true,
        ..TWO
    });
}

/// All are silent at once, and the first that is heard again must leave the others theirs.
#[test]
fn an_outage_for_all_takes_no_shard_from_anyone() {
    let found = holds(&Bounds {
        starts: 2,
        may_happen: is_outage_for_all,
        none_may_be_robbed: true,
        ..TWO
    });
    let event = "a shard of its own is taken anew";
    assert!(found.events.contains_key(event), "{event}: never");
}

/// The limit of a machine that stands still with its clock, as a suspended one does: where a take was under way, it serves until
/// its next look what another has by then. The token fences what it writes.
#[test]
fn a_take_that_is_answered_after_a_machine_stood_still_is_served_until_the_next_look() {
    let bounds = Bounds {
        faults: 2,
        clocks_may_stand: true,
        may_happen: |step| {
            matches!(
                step,
                Step::Second(Event::Halt(_)) | Step::Act(_, Some((_, Fate::Slow)))
            )
        },
        ..TWO
    };
    let what = "a shard is served under a token that is not higher than all before";
    breaks(&bounds, what);
}

/// The same within wider bounds, which want a build with optimisations:
///
/// ```sh
/// cargo test --release --workspace --lib -- --ignored --nocapture lease::model::more_of_everything
/// ```
#[test]
#[ignore = "takes some minutes in a release build"]
fn more_of_everything() {
    holds(&TWO);
    holds(&Bounds { shards: 2, ..TWO });
    holds(&Bounds {
        clocks_may_stand: true,
        ..TWO
    });
    holds(&Bounds {
        shards: 2,
        may_go_unheard: true,
        ..TWO
    });
    holds(&Bounds {
        starts: 2,
        seconds: 4,
        takes_turns: false,
        ..TWO
    });
    holds(&Bounds {
        starts: 2,
        faults: 2,
        seconds: 6,
        ..TWO
    });
    holds(&Bounds { faults: 2, ..TWO });
    holds(&Bounds {
        faults: 2,
        seconds: 8,
        may_go_unheard: true,
        ..TWO
    });
    holds(&Bounds {
        seconds: 8,
        takes_turns: false,
        ..TWO
    });
    holds(&Bounds {
        daemons: 3,
        shards: 2,
        seconds: 8,
        ..TWO
    });
}

/// The shard that had no owner for ever: the answer to a take was lost.
#[test]
fn a_shard_of_a_daemon_that_does_not_hold_it_must_be_free_to_it() {
    let rules = Rules {
        strays_are_free: false,
        ..Rules::ALL
    };
    breaks(&Bounds { rules, ..TWO }, "a shard is served by nobody");
}

#[test]
fn a_take_must_raise_the_token() {
    let rules = Rules {
        takes_raise: false,
        ..Rules::ALL
    };
    let what = "a shard is served under a token that is not higher than all before";
    breaks(&Bounds { rules, ..TWO }, what);
}

#[test]
fn an_owner_must_stop_in_time() {
    let bounds = Bounds {
        faults: 2,
        may_happen: |step| is_pause(step) || matches!(step, Step::Second(Event::OutageBegins(_))),
        rules: Rules {
            owners_stop_in_time: false,
            ..Rules::ALL
        },
        ..TWO
    };
    breaks(&bounds, "two daemons serve a shard");
}

#[test]
fn what_was_taken_in_one_life_must_not_be_served_in_another() {
    let bounds = Bounds {
        faults: 2,
        may_happen: |step| is_pause(step) || matches!(step, Step::Act(_, Some((_, Fate::Slow)))),
        rules: Rules {
            lives_are_apart: false,
            ..Rules::ALL
        },
        ..TWO
    };
    let what = "a shard is served under a token that is not higher than all before";
    breaks(&bounds, what);
}

#[test]
fn a_beat_must_not_take_a_later_ones_place() {
    let bounds = Bounds {
        faults: 2,
        may_happen: |step| is_pause(step) || matches!(step, Step::Beat(_, Fate::Echoes)),
        rules: Rules {
            beats_rise: false,
            ..Rules::ALL
        },
        ..TWO
    };
    breaks(&bounds, "two daemons serve a shard");
}

#[test]
fn a_look_must_read_the_leases_before_the_beats() {
    let bounds = Bounds {
        faults: 2,
        may_happen: |step| is_pause(step) || matches!(step, Step::Look(_, Fate::BeatsFirst)),
        rules: Rules {
            leases_come_first: false,
            ..Rules::ALL
        },
        ..TWO
    };
    breaks(&bounds, "two daemons serve a shard");
}

#[test]
fn a_daemon_that_goes_unheard_must_let_go() {
    let bounds = Bounds {
        may_go_unheard: true,
        rules: Rules {
            the_dead_let_go: false,
            ..Rules::ALL
        },
        ..TWO
    };
    breaks(&bounds, "a shard is served by nobody");
}

#[test]
fn a_daemon_that_cannot_beat_must_not_count_others_as_dead() {
    let bounds = Bounds {
        starts: 2,
        may_happen: is_outage_for_all,
        none_may_be_robbed: true,
        rules: Rules {
            the_dead_are_blind: false,
            ..Rules::ALL
        },
        ..TWO
    };
    breaks(&bounds, "a daemon is robbed of its shards");
}

/// A daemon hands over one shard at a time to those that did not take, so it would hand over none any more.
#[test]
fn a_take_must_end_the_handing_over() {
    let bounds = Bounds {
        rules: Rules {
            takes_end_giving: false,
            ..Rules::ALL
        },
        ..TWO
    };
    breaks(&bounds, "a shard that is served counts as handed over");
}

fn write() -> impl Strategy<Value = Write> {
    let daemon = || prop_oneof![Just("a".to_owned()), Just("b".to_owned())];
    let shard = || (0..2_u32).prop_map(Shard);
    prop_oneof![
        (daemon(), 0..4_u64).prop_map(|(daemon, counter)| Write::Beat {
            beat: world::beat(&daemon, counter, counter == 3),
            goes_back: false,
        }),
        daemon().prop_map(Write::Retire),
        (shard(), daemon(), prop::option::of(1..4_u64)).prop_map(|(shard, owner, seen)| Write::Take {
            shard,
            owner,
            seen,
            raise: 1,
        }),
        (shard(), 1..4_u64).prop_map(|(shard, token)| Write::Release { shard, token }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_models_table_does_as_the_real_one(writes in prop::collection::vec(write(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("built");
        runtime.block_on(async {
            let stored = Stored::new().await;
            let (leases, mut table) = (Leases::new(stored.table.clone(), Network::Sandbox), Table::default());
            for write in writes {
                let taken = match &write {
                    Write::Beat { beat, .. } => {
                        // A later one may be there.
                        let _ = leases.beat(beat).await;
                        None
                    }
                    Write::Retire(daemon) => {
                        leases.retire(daemon).await.expect("removed");
                        None
                    }
                    Write::Take { shard, owner, seen, .. } => {
                        leases.take(*shard, owner, *seen).await.expect("answered")
                    }
                    Write::Release { shard, token } => {
                        leases.release(*shard, *token).await.expect("answered");
                        None
                    }
                };
                assert_eq!(taken, table.land(&write), "{write:?}");
                let mut found = leases.list_all().await.expect("read");
                found.sort_by_key(|lease| lease.shard);
                assert_eq!(found, table.list_leases(), "{write:?}");
                assert_eq!(leases.list_beats().await.expect("read"), table.list_beats(), "{write:?}");
            }
        });
    }
}
