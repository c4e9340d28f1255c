//! What can happen next: each step of a daemon, of a write on its way and of the world around them, with what may go
//! wrong in it.

use std::rc::Rc;

use super::world::{Daemon, Hold, Keeping, Line, Outage, World};

/// Within which bounds all runs are walked through.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each widens or narrows the runs by itself"
)]
pub struct Bounds {
    /// How many daemons there are at once.
    pub daemons: usize,
    /// How many are started in all, the first ones included.
    pub starts: u8,
    pub shards: u32,
    /// How many faults happen in a run at most. That an outage or a pause ends is none.
    pub faults: u8,
    /// Which faults may happen.
    pub may_happen: fn(&Step) -> bool,
    /// How long a run is.
    pub seconds: u64,
    /// Whether daemons take turns a whole second's work at a time; else each step of one may come between any two of
    /// another.
    pub takes_turns: bool,
    /// Whether a machine may stand still with its clock. Two daemons may then believe to have a shard, and only the
    /// table tells whose fence is valid.
    pub clocks_may_stand: bool,
    /// Whether a daemon's beats may be answered too late for ever, so that others see it alive and it does not.
    pub may_go_unheard: bool,
    /// Whether no shard may be taken from another daemon: nothing happens that silences one and not the others.
    pub none_may_be_robbed: bool,
    /// Whether nothing goes wrong any more.
    pub is_calm: bool,
    pub rules: Rules,
}

/// The rules of the protocol, each of which the model can break.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub struct Rules {
    /// A shard whose lease names a daemon that does not hold it is free to that daemon.
    pub strays_are_free: bool,
    /// A take raises the token.
    pub takes_raise: bool,
    /// An owner stops before its time is over.
    pub owners_stop_in_time: bool,
    /// What was taken in one life is not served in another.
    pub lives_are_apart: bool,
    /// A beat takes the place of an earlier one alone.
    pub beats_rise: bool,
    /// A look reads the leases before the beats.
    pub leases_come_first: bool,
    /// A daemon that does not count itself as alive lets go what it does not serve.
    pub the_dead_let_go: bool,
    /// Others' silence does not count while a daemon does not count itself as alive.
    pub the_dead_are_blind: bool,
    /// A shard that this daemon took is handed over no longer.
    pub takes_end_giving: bool,
}

impl Rules {
    /// The protocol as it is.
    pub const ALL: Self = Self {
        strays_are_free: true,
        takes_raise: true,
        owners_stop_in_time: true,
        lives_are_apart: true,
        beats_rise: true,
        leases_come_first: true,
        the_dead_let_go: true,
        the_dead_are_blind: true,
        takes_end_giving: true,
    };
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It takes effect and is answered.
    Fine,
    /// It takes no effect.
    Fails,
    /// It takes effect, and its answer is lost. A retry of the SDK's that finds its own first attempt is the same.
    Lost,
    /// A take takes effect, a beat lands in the next second, a look is made in the next second, and each is answered
    /// that late.
    Slow,
    /// It was given up, and takes effect later.
    Late,
    /// It takes effect and is answered, and an earlier attempt of the SDK's lands later.
    Echoes,
    /// A look finds the leases as they are now and the beats as they are later.
    LeasesFirst,
    /// The other way about.
    BeatsFirst,
}

/// What happens around the daemons as a second begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Nothing,
    OutageBegins(Outage),
    OutageEnds,
    Pause(usize),
    /// The same, and its clock stands too.
    Halt(usize),
    /// From now on its beats are answered too late.
    GoesUnheard(usize),
    Resume(usize),
    Kill(usize),
    Start(usize),
    Stop(usize),
    /// What was served takes a second longer to end.
    EndsSlowly(usize),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The next second begins.
    Second(Event),
    Beat(usize, Fate),
    /// The keeper releases what has ended, and looks. The fate is the look's, or the release's.
    Look(usize, Fate),
    /// The rest of a look.
    LookEnds(usize),
    /// The keeper does as it planned. One of its calls may have a fate of its own.
    Act(usize, Option<(usize, Fate)>),
    /// The answers to what was taken come.
    Answered(usize),
    /// The process stands still between a look and what follows from it.
    PauseBefore(usize),
    /// Everything is handed over, and the process ends.
    Leave(usize),
    /// A write that was given up takes effect.
    Lands(usize),
}

const WRITE_FATES: [Fate; 3] = [Fate::Fails, Fate::Lost, Fate::Late];

/// For how many seconds a write may be on its way after its caller gave it up.
const LATEST: u8 = 2;

/// All steps that can follow, each with the state after it.
pub fn successors(world: &World, bounds: &Bounds) -> Vec<(Step, World)> {
    let mut after = Successors {
        world,
        bounds,
        found: Vec::new(),
    };
    after.of_flights();
    let at_work = |daemon: &Rc<Daemon>| {
        let is_between = daemon.is_look_due && !daemon.is_beat_due;
        match daemon.keeper {
            Keeping::Acting(_) => daemon.runs(),
            Keeping::Waiting { .. } => false,
            _ => daemon.runs() && is_between,
        }
    };
    let turn = world
        .daemons
        .iter()
        .position(at_work)
        .filter(|_| bounds.takes_turns);
    for number in 0..world.daemons.len() {
        if turn.is_none_or(|turn| turn == number) {
            after.of_daemon(number);
        }
    }
    after.of_time();
    after.found
}

struct Successors<'a> {
    world: &'a World,
    bounds: &'a Bounds,
    found: Vec<(Step, World)>,
}

impl Successors<'_> {
    fn add(&mut self, step: Step, is_fault: bool, change: impl FnOnce(&mut World)) {
        if is_fault && (self.world.faults == 0 || !(self.bounds.may_happen)(&step)) {
            return;
        }
        let mut after = self.world.clone();
        after.is_new_second = false;
        after.events.clear();
        after.faults -= u8::from(is_fault);
        change(&mut after);
        self.found.push((step, after));
    }

    fn of_flights(&mut self) {
        for number in 0..self.world.flights.len() {
            self.add(Step::Lands(number), false, |after| {
                let (write, _) = after.flights.remove(number);
                after.table.land(&write);
                after.events.push("a write lands late");
            });
        }
    }

    fn of_daemon(&mut self, number: usize) {
        let (world, rules) = (self.world, self.bounds.rules);
        let daemon = &world.daemons[number];
        if !daemon.runs() {
            return;
        }
        if daemon.is_beat_due {
            self.add(Step::Beat(number, Fate::Fine), false, |after| {
                after.beat(number, Fate::Fine, rules);
            });
            if world.line(number) == Line::Up && daemon.beating.is_none() {
                for fate in [Fate::Fails, Fate::Lost, Fate::Slow, Fate::Late, Fate::Echoes] {
                    self.add(Step::Beat(number, fate), true, |after| {
                        after.beat(number, fate, rules);
                    });
                }
            }
            if self.bounds.takes_turns {
                return;
            }
        }
        match &daemon.keeper {
            Keeping::Nothing if daemon.is_stopping && daemon.held.is_empty() => {
                self.add(Step::Leave(number), false, |after| after.leave(number));
            }
            Keeping::Nothing if daemon.is_look_due => self.of_look(number),
            Keeping::Looking {
                begun, leases, beats, ..
            } if *begun < world.clock(number) || leases.is_some() || beats.is_some() => {
                self.add(Step::LookEnds(number), false, |after| {
                    after.end_look(number, rules);
                });
            }
            Keeping::Acting(plan) => {
                self.add(Step::Act(number, None), false, |after| {
                    after.act(number, None, rules);
                });
                if world.line(number) == Line::Up {
                    for call in 0..plan.let_go.len() + plan.take.len() {
                        let slow = (call >= plan.let_go.len()).then_some(Fate::Slow);
                        for fate in WRITE_FATES.into_iter().chain(slow) {
                            let odd = Some((call, fate));
                            self.add(Step::Act(number, odd), true, |after| {
                                after.act(number, odd, rules);
                            });
                        }
                    }
                }
                self.add(Step::PauseBefore(number), true, |after| {
                    Rc::make_mut(&mut after.daemons[number]).is_paused = true;
                });
            }
            Keeping::Waiting { seconds: 1.., .. } => {
                self.add(Step::Answered(number), false, |after| after.answer(number, rules));
            }
            _ => {}
        }
    }

    fn of_look(&mut self, number: usize) {
        let rules = self.bounds.rules;
        self.add(Step::Look(number, Fate::Fine), false, |after| {
            after.look(number, Fate::Fine, rules);
        });
        if self.world.line(number) != Line::Up {
            return;
        }
        let mut fates = vec![Fate::Fails, Fate::Slow, Fate::LeasesFirst];
        if !rules.leases_come_first {
            fates.push(Fate::BeatsFirst);
        }
        let ended = |hold: &Hold| hold.has_ended && !hold.is_revoked;
        if self.world.daemons[number].held.values().any(ended) {
            fates.extend([Fate::Lost, Fate::Late]);
        }
        for fate in fates {
            self.add(Step::Look(number, fate), true, |after| {
                after.look(number, fate, rules);
            });
        }
    }

    fn of_time(&mut self) {
        let (world, bounds) = (self.world, self.bounds);
        let is_over = !bounds.is_calm && world.second() >= bounds.seconds;
        let all_done =
            (0..world.daemons.len()).all(|number| world.daemons[number].is_done(world.clock(number)));
        if is_over || !all_done || world.flights.iter().any(|(_, seconds)| *seconds >= LATEST) {
            return;
        }
        let mut events = vec![(Event::Nothing, false)];
        if !bounds.is_calm {
            events.extend(self.events());
        }
        for (event, is_fault) in events {
            self.add(Step::Second(event), is_fault, |after| {
                after.begin_second(event, bounds);
            });
        }
    }

    fn events(&self) -> Vec<(Event, bool)> {
        let world = self.world;
        let mut events = Vec::new();
        if world.outage.is_some() {
            events.push((Event::OutageEnds, false));
        } else {
            for of in std::iter::once(None).chain((0..world.daemons.len()).map(Some)) {
                for line in [Line::Down, Line::Deaf, Line::ReadsOnly] {
                    events.push((Event::OutageBegins(Outage { of, line }), true));
                }
            }
        }
        for (number, daemon) in world.daemons.iter().enumerate() {
            if daemon.is_gone {
                if world.started < self.bounds.starts {
                    events.push((Event::Start(number), false));
                }
                continue;
            }
            events.push((Event::Kill(number), true));
            if daemon.is_paused {
                events.push((Event::Resume(number), false));
                continue;
            }
            if self.bounds.clocks_may_stand {
                events.push((Event::Halt(number), true));
            } else {
                events.push((Event::Pause(number), true));
            }
            if self.bounds.may_go_unheard && !daemon.is_unheard {
                events.push((Event::GoesUnheard(number), true));
            }
            if !daemon.is_stopping && matches!(daemon.keeper, Keeping::Nothing) {
                events.push((Event::Stop(number), true));
            }
            if daemon
                .held
                .values()
                .any(|hold| (hold.is_revoked || hold.is_draining) && !hold.has_ended)
            {
                events.push((Event::EndsSlowly(number), true));
            }
        }
        events
    }
}
