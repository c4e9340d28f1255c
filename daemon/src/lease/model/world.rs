//! The state of the model: a table, a few daemons, and what is on its way between them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use chrono::DateTime;
use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Lease};
use tokio::time::Instant;

use super::steps::{Bounds, Rules};
use super::table::{Table, Write};
use crate::lease::ledger::{Ledger, Serving};
use crate::lease::share::Plan;
use crate::lease::vigil::Life;
use crate::lease::watchdog::BEAT_INTERVAL;

/// A daemon's lease: the default of a deployment.
pub const LEASE: Duration = Duration::from_secs(4);

/// The model's only moments are whole seconds from here on.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// One state.
#[derive(Debug, Clone)]
pub struct World {
    pub now: Instant,
    pub table: Table,
    pub daemons: Vec<Rc<Daemon>>,
    /// Writes that land later than their callers gave them up, and for how many seconds they have been on their way.
    pub flights: Vec<(Write, u8)>,
    pub outage: Option<Outage>,
    /// How many faults may still happen.
    pub faults: u8,
    /// How many daemons were started.
    pub started: u8,
    /// The highest token under which each shard was served.
    pub served: BTreeMap<Shard, u64>,
    /// A rule that was broken while a step was taken.
    pub broken: Option<&'static str>,
    /// Whether a second has just begun.
    pub is_new_second: bool,
    /// What happened in the last step: no part of the state.
    pub events: Vec<&'static str>,
    pub shards: u32,
    pub none_may_be_robbed: bool,
    clocks_may_stand: bool,
}

/// The table is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// For this daemon, or for all.
    pub of: Option<usize>,
    /// What becomes of calls.
    pub line: Line,
}

/// What becomes of a daemon's calls while nothing else is the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Up,
    Down,
    /// Calls take effect, and their answers are lost.
    Deaf,
    /// Reads are answered, and no write takes effect.
    ReadsOnly,
}

impl Line {
    /// Whether reads are answered.
    pub fn reads(self) -> bool {
        matches!(self, Self::Up | Self::ReadsOnly)
    }
}

/// A process, or the place of one.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a condition of its own")]
pub struct Daemon {
    pub name: String,
    pub is_gone: bool,
    /// It stands still, as under SIGSTOP.
    pub is_paused: bool,
    /// Its clock does, too.
    pub is_halted: bool,
    /// How much less time has passed for it than for the others.
    pub behind: Duration,
    /// Its beats are answered too late.
    pub is_unheard: bool,
    /// It hands over.
    pub is_stopping: bool,
    pub life: Life,
    pub counter: u64,
    /// A beat that lands and is answered in the next second, and when it began.
    pub beating: Option<(Beat, Instant)>,
    pub is_beat_due: bool,
    pub is_look_due: bool,
    pub ledger: Ledger,
    pub held: BTreeMap<Shard, Hold>,
    /// Shards that could not be released.
    pub unreleased: BTreeMap<Shard, u64>,
    pub keeper: Keeping,
}

/// A shard that a daemon serves, or has served.
#[derive(Debug, Clone)]
pub struct Hold {
    pub token: u64,
    pub is_revoked: bool,
    pub is_draining: bool,
    pub has_ended: bool,
}

/// What a keeper is doing.
#[derive(Debug, Clone)]
pub enum Keeping {
    Nothing,
    /// It reads; one half of the table may be read already.
    Looking {
        begun: Instant,
        /// The life in which it began.
        life: Option<u64>,
        leases: Option<Vec<Lease>>,
        beats: Option<Vec<Beat>>,
    },
    /// It knows what to do.
    Acting(Plan),
    /// It took shards, and the answers are on their way for so many seconds.
    Waiting {
        taken: Vec<(Shard, u64)>,
        life: u64,
        seconds: u8,
    },
}

impl Hold {
    /// Whether something may be done under it: its fence is valid as far as its daemon knows.
    pub fn is_live(&self) -> bool {
        !self.is_revoked && !self.has_ended
    }
}

impl Daemon {
    /// One that has just been started, by its place among all that ever were.
    pub fn start(number: u8, shards: u32) -> Self {
        let name = char::from(b'a' + number).to_string();
        Self {
            is_gone: false,
            is_paused: false,
            is_halted: false,
            behind: Duration::ZERO,
            is_unheard: false,
            is_stopping: false,
            life: Life::new(LEASE),
            counter: 0,
            beating: None,
            is_beat_due: true,
            is_look_due: true,
            ledger: Ledger::new(name.clone(), shards, LEASE),
            held: BTreeMap::new(),
            unreleased: BTreeMap::new(),
            keeper: Keeping::Nothing,
            name,
        }
    }

    pub fn runs(&self) -> bool {
        !self.is_gone && !self.is_paused
    }

    /// Whether it has done all that it does in a second.
    pub fn is_done(&self, now: Instant) -> bool {
        let is_waiting = match &self.keeper {
            Keeping::Nothing => !self.is_look_due,
            Keeping::Looking {
                begun, leases, beats, ..
            } => *begun == now && leases.is_none() && beats.is_none(),
            Keeping::Acting(_) => false,
            Keeping::Waiting { seconds, .. } => *seconds < 2,
        };
        let is_leaving = self.is_stopping && self.held.is_empty() && matches!(self.keeper, Keeping::Nothing);
        !self.runs() || (!self.is_beat_due && is_waiting && !is_leaving)
    }

    pub fn serving(&self) -> Serving {
        let served = self.held.iter();
        served
            .map(|(shard, hold)| (*shard, (!hold.is_revoked).then_some(hold.token)))
            .collect()
    }

    /// Its time is over, if it is: everything that it holds is revoked.
    pub fn expire(&mut self, now: Instant, rules: Rules) {
        if self.life.lasts(now) {
            return;
        }
        self.life.end();
        if rules.owners_stop_in_time {
            for hold in self.held.values_mut() {
                hold.is_revoked = true;
            }
        }
    }

    pub fn next_beat(&mut self) -> Beat {
        self.counter += 1;
        beat(&self.name, self.counter, self.is_stopping)
    }
}

/// A daemon's beat.
pub fn beat(daemon: &str, counter: u64, draining: bool) -> Beat {
    Beat {
        daemon: daemon.to_owned(),
        counter,
        duration_ms: LEASE.as_millis().try_into().expect("short"),
        at: DateTime::UNIX_EPOCH,
        round_trips_since: None,
        draining,
        vitals: None,
    }
}

impl World {
    /// All daemons but the last-named ones have just been started on an empty table.
    pub fn new(bounds: &Bounds) -> Self {
        let started = u8::try_from(bounds.daemons).expect("a few");
        Self {
            now: *START,
            table: Table::default(),
            daemons: (0..started)
                .map(|number| Rc::new(Daemon::start(number, bounds.shards)))
                .collect(),
            flights: Vec::new(),
            outage: None,
            faults: bounds.faults,
            started,
            served: BTreeMap::new(),
            broken: None,
            is_new_second: true,
            events: Vec::new(),
            shards: bounds.shards,
            none_may_be_robbed: bounds.none_may_be_robbed,
            clocks_may_stand: bounds.clocks_may_stand,
        }
    }

    /// What time it is for a daemon.
    pub fn clock(&self, daemon: usize) -> Instant {
        self.now - self.daemons[daemon].behind
    }

    /// How many seconds have passed.
    pub fn second(&self) -> u64 {
        (self.now - *START).as_secs()
    }

    /// Whether a second has just begun.
    pub fn begins_a_second(&self) -> bool {
        self.is_new_second
    }

    /// Whether no daemon is there to serve anything.
    pub fn nobody_serves(&self) -> bool {
        let serves = |daemon: &Rc<Daemon>| daemon.runs() && !daemon.is_stopping && !daemon.is_unheard;
        !self.daemons.iter().any(serves)
    }

    pub fn line(&self, daemon: usize) -> Line {
        match self.outage {
            Some(outage) if outage.of.is_none_or(|of| of == daemon) => outage.line,
            _ => Line::Up,
        }
    }

    /// What must not be.
    pub fn violation(&self) -> Option<&'static str> {
        if self.broken.is_some() {
            return self.broken;
        }
        for shard in (0..self.shards).map(Shard) {
            let of_the_table = self.table.token(shard).unwrap_or(0);
            let running = self.daemons.iter().filter(|daemon| daemon.runs());
            let live = running
                .filter_map(|daemon| daemon.held.get(&shard))
                .filter(|hold| hold.is_live() && (!self.clocks_may_stand || hold.token == of_the_table));
            if live.count() > 1 {
                return Some("two daemons serve a shard");
            }
            let mut holds = self.daemons.iter().filter_map(|daemon| daemon.held.get(&shard));
            if holds.any(|hold| hold.token > of_the_table) {
                return Some("a shard is served under a token that the table does not know");
            }
            let is_kept = |hold: &Hold| hold.is_live() && !hold.is_draining;
            let gave_and_keeps = |daemon: &Rc<Daemon>| {
                daemon.ledger.has_given(shard) && daemon.held.get(&shard).is_some_and(is_kept)
            };
            if self.daemons.iter().any(gave_and_keeps) {
                return Some("a shard that is served counts as handed over");
            }
        }
        None
    }

    /// Whether each shard is served by the owner of its lease.
    pub fn is_served(&self) -> bool {
        (0..self.shards).map(Shard).all(|shard| {
            let Some(lease) = self.table.leases.get(&shard) else {
                return false;
            };
            self.daemons.iter().filter(|daemon| daemon.runs()).any(|daemon| {
                let hold = daemon.held.get(&shard);
                let serves = |hold: &Hold| hold.is_live() && !hold.is_draining && hold.token == lease.token;
                lease.owner.as_deref() == Some(&daemon.name) && hold.is_some_and(serves)
            })
        })
    }

    /// From now on nothing fails.
    pub fn calm_down(&mut self) {
        self.faults = 0;
        self.outage = None;
        for number in 0..self.daemons.len() {
            if self.daemons[number].is_paused {
                self.resume(number);
            }
        }
    }

    /// A daemon that stood still goes on. Its fences have fallen if its time is over, whatever it does first.
    pub fn resume(&mut self, number: usize) {
        let now = self.clock(number);
        let daemon = Rc::make_mut(&mut self.daemons[number]);
        (daemon.is_paused, daemon.is_halted) = (false, false);
        daemon.is_beat_due = true;
        daemon.is_look_due = true;
        daemon.expire(now, Rules::ALL);
        for hold in daemon.held.values_mut() {
            hold.has_ended |= hold.is_revoked || hold.is_draining;
        }
    }

    /// One line for a trace.
    pub fn summary(&self) -> String {
        let mut line = format!("{:>2} s", self.second());
        for lease in self.table.leases.values() {
            let owner = lease.owner.as_deref().unwrap_or("nobody");
            let _ = write!(line, " | {}: {owner} {}", lease.shard, lease.token);
        }
        for daemon in self.daemons.iter().filter(|daemon| !daemon.is_gone) {
            let dead = if daemon.life.lasts(self.now - daemon.behind) {
                ""
            } else {
                ", not alive"
            };
            let _ = write!(line, " | {}{dead}:", daemon.name);
            for (shard, hold) in daemon.held.iter().filter(|(_, hold)| hold.is_live()) {
                let _ = write!(line, " serves {shard} under {}", hold.token);
            }
        }
        line
    }
}

/// The time between two of the model's moments is that between two beats.
pub const SECOND: Duration = BEAT_INTERVAL;
