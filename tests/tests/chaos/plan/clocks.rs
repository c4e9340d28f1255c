//! The clocks of a run's daemons.

use std::fmt;

use chrono::TimeDelta;
use testbed::dice::Dice;

use super::{Strike, Trouble};
use crate::size::Size;

/// How far a clock is behind at most, in seconds: what waits for its time waits for as much longer, or for another daemon.
const BEHIND: u64 = 60 * 60;

/// How far a clock is ahead at most, in seconds. An edit of a text may wait for a quarter of an hour, and expires before that by a
/// clock that is further ahead. And what such a daemon puts off waits for the next one by as much longer.
const AHEAD: u64 = 2 * 60;

/// By how much the seed of the clocks differs from that of all else. Since they have a seed of their own, they change nothing else of a
/// plan.
const APART: u64 = 0x636c_6f63_6b73;

/// How far a daemon's clock is ahead of the right time; less than nothing is behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offset(TimeDelta);

/// A sort of clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Right,
    Ahead,
    Behind,
    FarBehind,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Right, Self::Ahead, Self::Behind, Self::FarBehind];
}

impl Offset {
    /// The right time.
    pub const NONE: Self = Self(TimeDelta::zero());

    /// How far a clock is ahead at most.
    pub fn most() -> TimeDelta {
        Self::ahead(AHEAD).0
    }

    /// How far the clock is ahead.
    pub const fn time(self) -> TimeDelta {
        self.0
    }

    fn ahead(seconds: u64) -> Self {
        Self(TimeDelta::seconds(
            i64::try_from(seconds).expect("an hour at most"),
        ))
    }

    fn behind(seconds: u64) -> Self {
        Self(-Self::ahead(seconds).0)
    }

    fn of(sort: Sort, dice: &mut Dice) -> Self {
        match sort {
            Sort::Right => Self::NONE,
            Sort::Ahead => Self::ahead(dice.within(30..AHEAD)),
            Sort::Behind => Self::behind(dice.within(30..BEHIND / 6)),
            Sort::FarBehind => Self::behind(BEHIND),
        }
    }

    #[cfg(test)]
    fn sort(self) -> Sort {
        match self.0.num_seconds() {
            0 => Sort::Right,
            1.. => Sort::Ahead,
            seconds if Self::behind(BEHIND).0.num_seconds() == seconds => Sort::FarBehind,
            _ => Sort::Behind,
        }
    }
}

/// The clocks of the daemons of each place: of the one that the run begins with, and of each that comes when one was killed. They come
/// out of a deck with one of each sort, and out of another when that is used up.
pub fn places(seed: u64, size: &Size, rounds: &[Vec<Strike>]) -> Vec<Vec<Offset>> {
    let mut dice = Dice::new(seed ^ APART);
    let mut deck = Vec::new();
    let mut places = Vec::new();
    for daemon in 0..size.daemons {
        let kill = Trouble::Kill { daemon };
        let strikes = rounds.iter().flatten();
        let kills = strikes.filter(|strike| strike.trouble == kill).count();
        let mut clocks = Vec::new();
        for _ in 0..=kills {
            if deck.is_empty() {
                deck.extend(Sort::ALL);
                dice.shuffle(&mut deck);
            }
            let sort = deck.pop().unwrap_or(Sort::Right);
            clocks.push(Offset::of(sort, &mut dice));
        }
        places.push(clocks);
    }
    places
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.num_seconds() {
            0 => write!(f, "right"),
            seconds @ 1.. => write!(f, "{seconds} s ahead"),
            seconds => write!(f, "{} s behind", -seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::plan::Plan;

    use super::*;

    #[test]
    fn every_run_has_clocks_of_each_sort_and_one_for_each_daemon_that_is_started() {
        for (seed, size) in (0..50).flat_map(|seed| [(seed, Size::SHORT), (seed, Size::LONG)]) {
            let plan = Plan::of(seed, &size);
            let strikes = plan.rounds.iter().flatten();
            let kills = strikes.filter(|strike| matches!(strike.trouble, Trouble::Kill { .. }));
            let clocks: Vec<Offset> = plan.clocks.iter().flatten().copied().collect();
            assert_eq!(plan.clocks.len(), size.daemons);
            assert_eq!(clocks.len(), size.daemons + kills.count(), "seed {seed}");
            let sorts: BTreeSet<Sort> = clocks.iter().map(|offset| offset.sort()).collect();
            assert_eq!(sorts, BTreeSet::from(Sort::ALL), "seed {seed}");
            let times = clocks.iter().map(|offset| offset.time());
            let hour = TimeDelta::hours(1);
            assert!(times.clone().all(|time| time <= Offset::most() && -time <= hour));
        }
    }

    #[test]
    fn a_clock_says_how_wrong_it_is() {
        let texts = [Offset::NONE, Offset::ahead(90), Offset::behind(3_600)].map(|offset| offset.to_string());
        assert_eq!(texts, ["right", "90 s ahead", "3600 s behind"]);
    }
}
