//! What happens in a run, from a seed alone: which trouble befalls whom, when and for how long, who writes what to whom, and how wrong
//! the clocks are. The same seed and the same size give the same plan.

mod clocks;
mod letters;
mod troubles;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use testbed::dice::Dice;

pub use self::clocks::Offset;
pub use self::letters::{BULK, Chat, Source, Step, What, With};
pub use self::troubles::{Strike, Trouble};
use crate::size::Size;

/// People who write with each instance.
pub const PEOPLE: usize = 4;

/// How long the messages of a round are begun with.
const WRITING: Duration = Duration::from_secs(8);

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it was made of.
    pub seed: u64,
    /// The troubles of each round.
    pub rounds: Vec<Vec<Strike>>,
    /// The chats of each instance.
    pub lines: Vec<Vec<Chat>>,
    /// The clocks of the daemons of each place, one after the other.
    pub clocks: Vec<Vec<Offset>>,
}

/// A time of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The round.
    pub round: usize,
    /// How long after its beginning.
    pub at: Duration,
}

impl Plan {
    /// The plan of this seed.
    pub fn of(seed: u64, size: &Size) -> Self {
        let mut dice = Dice::new(seed);
        let rounds = troubles::rounds(size, &mut dice);
        Self {
            seed,
            clocks: clocks::places(seed, size, &rounds),
            rounds,
            lines: (0..size.instances)
                .map(|_| letters::line(size, &mut dice))
                .collect(),
        }
    }

    /// Who writes what to whom, and when: a line for each chat.
    pub fn letters(&self) -> String {
        let mut lines = Vec::new();
        for (line, chats) in self.lines.iter().enumerate() {
            for chat in chats {
                let out = chat.out.iter().map(|step| format!("{} {}", step.when, step.what));
                let back = chat.back.iter().map(|when| format!("{when} a text back"));
                let all: Vec<_> = out.chain(back).collect();
                lines.push(format!("instance {line}, {}: {}", chat.with, all.join(", ")));
            }
        }
        lines.join("\n")
    }

    /// How many messages of each sort go out.
    fn sorts(&self) -> BTreeMap<String, usize> {
        let mut sorts = BTreeMap::new();
        for step in self.lines.iter().flatten().flat_map(|chat| &chat.out) {
            *sorts.entry(step.what.to_string()).or_default() += step.what.messages();
        }
        sorts
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the plan of seed {}:", self.seed)?;
        for (round, strikes) in self.rounds.iter().enumerate() {
            let strikes: Vec<_> = strikes.iter().map(Strike::to_string).collect();
            writeln!(f, "  round {round}: {}", strikes.join("; "))?;
        }
        for (daemon, clocks) in self.clocks.iter().enumerate() {
            let clocks: Vec<_> = clocks.iter().map(Offset::to_string).collect();
            writeln!(f, "  the clock of daemon {daemon}: {}", clocks.join(", then "))?;
        }
        let sorts: Vec<_> = self
            .sorts()
            .into_iter()
            .map(|(sort, count)| format!("{sort} {count}"))
            .collect();
        write!(f, "  out: {}", sorts.join(", "))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:.1}s", self.round, self.at.as_secs_f64())
    }
}

impl Moment {
    /// The moment of the nth of so many things that are spread over all rounds.
    fn of(n: usize, count: usize, size: &Size, dice: &mut Dice) -> Self {
        Self {
            round: n * size.rounds / count,
            at: milliseconds(dice, WRITING),
        }
    }
}

/// A time below this one.
fn milliseconds(dice: &mut Dice, below: Duration) -> Duration {
    let end = u64::try_from(below.as_millis()).expect("seconds");
    Duration::from_millis(dice.within(0..end))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::domain::message::Kind;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        for size in [Size::SHORT, Size::LONG] {
            let plan = Plan::of(1, &size);
            assert_eq!(plan, Plan::of(1, &size));
            assert_eq!(plan.letters(), Plan::of(1, &size).letters());
            assert_ne!(plan, Plan::of(2, &size));
        }
    }

    #[test]
    fn a_plan_has_as_many_messages_as_its_size_says_and_all_kinds() {
        for (seed, size) in (0..20).flat_map(|seed| [(seed, Size::SHORT), (seed, Size::LONG)]) {
            let plan = Plan::of(seed, &size);
            assert_eq!(
                (plan.lines.len(), plan.rounds.len()),
                (size.instances, size.rounds)
            );
            let chats: Vec<&Chat> = plan.lines.iter().flatten().collect();
            let steps = chats.iter().flat_map(|chat| &chat.out);
            assert_eq!(
                steps.clone().map(|step| step.what.messages()).sum::<usize>(),
                size.out
            );
            let back = chats.iter().map(|chat| chat.back.len());
            assert_eq!(back.sum::<usize>(), size.back);
            let sorts: BTreeSet<What> = steps.clone().map(|step| step.what).collect();
            assert_eq!(sorts, BTreeSet::from(What::ALL), "seed {seed}");
            let moments = steps.map(|step| step.when);
            let moments: Vec<_> = moments
                .chain(chats.iter().flat_map(|chat| chat.back.clone()))
                .collect();
            assert!(
                moments
                    .iter()
                    .all(|when| when.round < size.rounds && when.at < WRITING)
            );
        }
    }

    /// Whoever adds a kind of message sends it here too.
    #[test]
    fn every_kind_of_message_is_of_some_sort() {
        let kinds: BTreeSet<Kind> = What::ALL.into_iter().map(What::kind).collect();
        assert_eq!(kinds, Kind::SENT.iter().copied().collect::<BTreeSet<_>>());
    }

    #[test]
    fn every_trouble_comes_and_a_daemon_is_left_alone_in_each_round() {
        for (seed, size) in (0..50).flat_map(|seed| [(seed, Size::SHORT), (seed, Size::LONG)]) {
            let plan = Plan::of(seed, &size);
            let sorts = plan.rounds.iter().flatten().map(|strike| strike.trouble.sort());
            assert_eq!(
                sorts.collect::<BTreeSet<_>>().len(),
                troubles::SORTS,
                "seed {seed}"
            );
            for strikes in &plan.rounds {
                let befallen = strikes.iter().filter_map(|strike| strike.trouble.daemon());
                let befallen: Vec<usize> = befallen.collect();
                let different: BTreeSet<usize> = befallen.iter().copied().collect();
                assert_eq!(different.len(), befallen.len(), "seed {seed}: {strikes:?}");
                assert!(different.len() < size.daemons, "seed {seed}: {strikes:?}");
                assert!(different.iter().all(|daemon| *daemon < size.daemons));
            }
        }
    }
}
