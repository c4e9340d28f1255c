//! The troubles of a run.

use std::fmt;
use std::time::Duration;

use testbed::dice::Dice;
use testbed::relay::Away;

use super::milliseconds;
use crate::size::Size;

/// How long after a round's beginning its troubles begin.
const BEGINNING: Duration = Duration::from_secs(3);

/// The silence after which a daemon's shards are another's, in seconds: the default.
const LEASE: u64 = 4;

/// How a store may be away.
const WAYS: [Away; 4] = [Away::Stalled, Away::Late, Away::Deaf, Away::Refused];

/// What happens. Daemons are named by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A daemon is killed. Another takes its place when the round's troubles are over.
    Kill { daemon: usize },
    /// A daemon stands still.
    StandStill { daemon: usize, time: Duration },
    /// Some of all sockets are closed without a word.
    DropSockets { percent: u8, seed: u64 },
    /// The table is away.
    Table { how: Away, time: Duration },
    /// The queues are away.
    Queue { how: Away, time: Duration },
    /// The key service is away.
    Keys { how: Away, time: Duration },
    /// The sandbox ends, and starts again on its state so much later.
    RestartSandbox { time: Duration },
}

/// A trouble, and how long after its round's beginning it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    pub at: Duration,
    pub trouble: Trouble,
}

/// A sort of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    Kill,
    StandStill,
    DropSockets,
    Table,
    Queue,
    Keys,
    RestartSandbox,
}

/// How many sorts there are.
pub const SORTS: usize = 7;

impl Sort {
    const ALL: [Self; SORTS] = [
        Self::Kill,
        Self::StandStill,
        Self::DropSockets,
        Self::Table,
        Self::Queue,
        Self::Keys,
        Self::RestartSandbox,
    ];
}

/// The troubles of each round. They come out of a deck with one of each sort, and out of another when that is used up: so each sort
/// comes as often as any other.
pub fn rounds(size: &Size, dice: &mut Dice) -> Vec<Vec<Strike>> {
    let mut deck = Vec::new();
    let mut rounds = Vec::new();
    for _ in 0..size.rounds {
        let mut sorts = Vec::new();
        for _ in 0..size.troubles {
            if deck.is_empty() {
                deck.extend(Sort::ALL);
                dice.shuffle(&mut deck);
            }
            sorts.extend(deck.pop());
        }
        // A session that goes on has its keys. One that is taken over needs them.
        if sorts.contains(&Sort::Keys) && !sorts.contains(&Sort::Kill) {
            sorts.push(Sort::Kill);
        }
        // Each daemon has one trouble a round.
        let mut daemons: Vec<usize> = (0..size.daemons).collect();
        dice.shuffle(&mut daemons);
        let mut strikes = Vec::new();
        for sort in sorts {
            strikes.push(Strike {
                at: milliseconds(dice, BEGINNING),
                trouble: trouble(sort, &mut daemons, size, dice),
            });
        }
        rounds.push(strikes);
    }
    rounds
}

fn trouble(sort: Sort, daemons: &mut Vec<usize>, size: &Size, dice: &mut Dice) -> Trouble {
    let time = Duration::from_millis(dice.within(1_000..size.longest * 1_000));
    let how = *dice.pick(&WAYS);
    let mut daemon = || daemons.pop().expect("there are more daemons than troubles");
    match sort {
        Sort::Kill => Trouble::Kill { daemon: daemon() },
        // Long enough that others take its shards.
        Sort::StandStill => Trouble::StandStill {
            daemon: daemon(),
            time: Duration::from_secs(LEASE) + time,
        },
        Sort::DropSockets => Trouble::DropSockets {
            percent: u8::try_from(dice.within(30..101)).expect("small"),
            seed: dice.throw(),
        },
        Sort::Table => Trouble::Table { how, time },
        Sort::Queue => Trouble::Queue { how, time },
        Sort::Keys => Trouble::Keys { how, time },
        Sort::RestartSandbox => Trouble::RestartSandbox { time: time / 2 },
    }
}

impl Trouble {
    /// The daemon that it befalls.
    pub const fn daemon(&self) -> Option<usize> {
        match self {
            Self::Kill { daemon } | Self::StandStill { daemon, .. } => Some(*daemon),
            _ => None,
        }
    }

    /// Its sort.
    pub const fn sort(&self) -> Sort {
        match self {
            Self::Kill { .. } => Sort::Kill,
            Self::StandStill { .. } => Sort::StandStill,
            Self::DropSockets { .. } => Sort::DropSockets,
            Self::Table { .. } => Sort::Table,
            Self::Queue { .. } => Sort::Queue,
            Self::Keys { .. } => Sort::Keys,
            Self::RestartSandbox { .. } => Sort::RestartSandbox,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { daemon } => write!(f, "daemon {daemon} is killed"),
            Self::StandStill { daemon, time } => {
                write!(f, "daemon {daemon} stands still for {:.1} s", time.as_secs_f64())
            }
            Self::DropSockets { percent, seed } => {
                write!(f, "{percent} of 100 sockets drop, by seed {seed}")
            }
            Self::Table { how, time } => write!(f, "the table is {how:?} for {:.1} s", time.as_secs_f64()),
            Self::Queue { how, time } => write!(f, "the queues are {how:?} for {:.1} s", time.as_secs_f64()),
            Self::Keys { how, time } => write!(f, "the keys are {how:?} for {:.1} s", time.as_secs_f64()),
            Self::RestartSandbox { time } => {
                write!(f, "the sandbox is gone for {:.1} s", time.as_secs_f64())
            }
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {:.1} s {}", self.at.as_secs_f64(), self.trouble)
    }
}
