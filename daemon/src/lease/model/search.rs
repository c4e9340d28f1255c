//! Walks through everything that can happen, breadth first and second by second. So the first counterexample that it
//! finds is a shortest one.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::rc::Rc;

use super::steps::{Bounds, Step, successors};
use super::world::World;

/// What is written down of a state: see [`World::key`].
type Key = Rc<[u8]>;

/// Within how many seconds after the last fault every shard must be served.
const PATIENCE: u8 = 20;

/// What a search has seen.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many states there are.
    pub states: usize,
    /// How many steps between them.
    pub steps: usize,
    /// What happened in them, and how often.
    pub events: BTreeMap<&'static str, usize>,
    /// The most seconds from the last fault until every shard was served.
    pub slowest: u8,
    /// What must not be, and how it comes about.
    pub counterexample: Option<Counterexample>,
}

/// What must not be, and how it comes about.
pub struct Counterexample {
    /// What must not be.
    pub what: &'static str,
    /// The steps that lead there.
    pub trace: Vec<String>,
}

impl fmt::Debug for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.what)?;
        self.trace.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// A state that was reached: from which one, and by which of its steps.
struct Reached {
    from: usize,
    by: usize,
}

/// Walks through all runs within `bounds`.
pub fn search(bounds: &Bounds) -> Findings {
    let mut found = Findings::default();
    let mut calm = Calm::new(bounds);
    let first = World::new(bounds);
    let mut known = HashSet::from([first.key()]);
    let mut reached = vec![Reached { from: 0, by: 0 }];
    let (mut second, mut next_second) = (VecDeque::from([(0, first)]), VecDeque::new());
    while let Some((number, world)) = second.pop_front() {
        if let Some(what) = world.violation() {
            found.counterexample = Some(Counterexample {
                what,
                trace: trace(bounds, &reached, number),
            });
            break;
        }
        if world.begins_a_second() {
            match calm.until_served(&world) {
                Ok(seconds) => found.slowest = found.slowest.max(seconds),
                Err(mut rest) => {
                    let mut steps = trace(bounds, &reached, number);
                    steps.push("no more faults".to_owned());
                    steps.append(&mut rest);
                    found.counterexample = Some(Counterexample {
                        what: "a shard is served by nobody",
                        trace: steps,
                    });
                    break;
                }
            }
        }
        for (by, (step, after)) in successors(&world, bounds).into_iter().enumerate() {
            found.steps += 1;
            for event in &after.events {
                *found.events.entry(event).or_default() += 1;
            }
            if !known.insert(after.key()) {
                continue;
            }
            let goal = if matches!(step, Step::Second(_)) {
                &mut next_second
            } else {
                &mut second
            };
            goal.push_back((reached.len(), after));
            reached.push(Reached { from: number, by });
        }
        if second.is_empty() {
            std::mem::swap(&mut second, &mut next_second);
        }
    }
    found.states = reached.len();
    found
}

/// The steps to a state, which are taken again from the first one.
fn trace(bounds: &Bounds, reached: &[Reached], mut number: usize) -> Vec<String> {
    let mut choices = Vec::new();
    while number > 0 {
        choices.push(reached[number].by);
        number = reached[number].from;
    }
    let mut world = World::new(bounds);
    let mut steps = Vec::new();
    for choice in choices.into_iter().rev() {
        let (step, after) = successors(&world, bounds).swap_remove(choice);
        steps.push(format!("{step:?} -> {}", after.summary()));
        world = after;
    }
    steps
}

/// What follows where no more faults happen: outages are over, whoever stood still goes on, and everyone beats and
/// looks once a second, in any order. This is all the fairness that there is.
struct Calm {
    bounds: Bounds,
    /// The most seconds from there until every shard is served.
    known: HashMap<Key, u8>,
}

impl Calm {
    fn new(bounds: &Bounds) -> Self {
        Self {
            bounds: Bounds {
                is_calm: true,
                ..*bounds
            },
            known: HashMap::new(),
        }
    }

    /// The most seconds until every shard is served, in whatever order daemons act; else the steps of a run in which
    /// that does not come in [`PATIENCE`].
    fn until_served(&mut self, world: &World) -> Result<u8, Vec<String>> {
        let mut world = world.clone();
        world.calm_down();
        if world.nobody_serves() {
            return Ok(0);
        }
        self.seconds(&world, PATIENCE)
    }

    fn seconds(&mut self, world: &World, left: u8) -> Result<u8, Vec<String>> {
        if world.is_served() {
            return Ok(0);
        }
        let key = world.key();
        if let Some(seconds) = self.known.get(&key) {
            return Ok(*seconds);
        }
        let mut most = 0;
        for (step, after) in successors(world, &self.bounds) {
            let takes = u8::from(matches!(step, Step::Second(_)));
            let told = || format!("{step:?} -> {}", after.summary());
            if left < takes {
                return Err(vec![told()]);
            }
            match self.seconds(&after, left - takes) {
                Ok(seconds) => most = most.max(seconds + takes),
                Err(mut rest) => {
                    rest.insert(0, told());
                    return Err(rest);
                }
            }
        }
        self.known.insert(key, most);
        Ok(most)
    }
}
