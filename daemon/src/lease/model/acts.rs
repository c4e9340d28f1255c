//! What happens in each step.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Lease};
use tokio::time::Instant;

use super::steps::{Bounds, Event, Fate, Rules};
use super::table::Write;
use super::world::{Daemon, Hold, Keeping, Line, SECOND, World};
use crate::lease::ledger::Look;
use crate::lease::share::Plan;

impl World {
    /// A call of this daemon: whether it takes effect, and whether its answer is heard.
    pub(super) fn call(&mut self, number: usize, write: Write, fate: Fate) -> (Option<u64>, bool) {
        let (lands, is_heard) = match (self.line(number), fate) {
            (Line::Down | Line::ReadsOnly, _) | (_, Fate::Fails) => (false, false),
            (Line::Deaf, _) | (_, Fate::Lost) => (true, false),
            (_, Fate::Late) => {
                self.flights.push((write, 0));
                return (None, false);
            }
            _ => (true, true),
        };
        let token = if lands { self.table.land(&write) } else { None };
        if fate == Fate::Echoes {
            self.flights.push((write, 0));
        }
        (token, is_heard)
    }

    pub(super) fn beat(&mut self, number: usize, fate: Fate, rules: Rules) {
        let write = |beat| Write::Beat {
            beat,
            goes_back: !rules.beats_rise,
        };
        let now = self.clock(number);
        let daemon = Rc::make_mut(&mut self.daemons[number]);
        if let Some((beat, begun)) = daemon.beating.take() {
            // The next one follows at once.
            let (_, is_heard) = self.call(number, write(beat), Fate::Fine);
            if is_heard {
                self.hear_beat(number, begun);
            }
            return;
        }
        daemon.is_beat_due = false;
        let beat = daemon.next_beat();
        if fate == Fate::Slow {
            daemon.beating = Some((beat, now));
            return;
        }
        let (_, is_heard) = self.call(number, write(beat), fate);
        if is_heard {
            self.hear_beat(number, now);
        }
    }

    pub(super) fn hear_beat(&mut self, number: usize, begun: Instant) {
        let daemon = Rc::make_mut(&mut self.daemons[number]);
        if daemon.is_unheard {
            return;
        }
        if daemon.life.beaten(begun) && !daemon.is_stopping && matches!(daemon.keeper, Keeping::Nothing) {
            daemon.is_look_due = true;
        }
    }

    pub(super) fn look(&mut self, number: usize, fate: Fate, rules: Rules) {
        let now = self.clock(number);
        let daemon = Rc::make_mut(&mut self.daemons[number]);
        daemon.is_look_due = false;
        let ended: Vec<(Shard, u64, bool)> = daemon
            .held
            .iter()
            .filter(|(_, hold)| hold.has_ended)
            .map(|(shard, hold)| (*shard, hold.token, hold.is_revoked))
            .collect();
        for (shard, token, is_revoked) in ended {
            Rc::make_mut(&mut self.daemons[number]).held.remove(&shard);
            if !is_revoked {
                self.release(number, shard, token, fate);
            }
        }
        if !self.line(number).reads() {
            return;
        }
        let (leases, beats) = (self.table.list_leases(), self.table.list_beats());
        let daemon = Rc::make_mut(&mut self.daemons[number]);
        let life = daemon.life.current(now);
        let looking = |leases: Option<Vec<Lease>>, beats: Option<Vec<Beat>>| Keeping::Looking {
            begun: now,
            life,
            leases,
            beats,
        };
        match fate {
            Fate::Fails => {}
            Fate::Slow => daemon.keeper = looking(None, None),
            Fate::LeasesFirst => daemon.keeper = looking(Some(leases), None),
            Fate::BeatsFirst => daemon.keeper = looking(None, Some(beats)),
            _ => {
                let look = Look {
                    leases,
                    beats,
                    strange: BTreeMap::new(),
                    unreadable: BTreeSet::new(),
                    begun: now,
                    ended: now,
                    lives: life.is_some() || !rules.the_dead_are_blind,
                };
                self.decide(number, &look, rules);
            }
        }
    }

    pub(super) fn end_look(&mut self, number: usize, rules: Rules) {
        let keeper = std::mem::replace(
            &mut Rc::make_mut(&mut self.daemons[number]).keeper,
            Keeping::Nothing,
        );
        let Keeping::Looking {
            begun,
            life,
            leases,
            beats,
        } = keeper
        else {
            return;
        };
        if !self.line(number).reads() {
            return;
        }
        let ended = self.clock(number);
        let look = Look {
            leases: leases.unwrap_or_else(|| self.table.list_leases()),
            beats: beats.unwrap_or_else(|| self.table.list_beats()),
            strange: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            begun,
            ended,
            lives: (life.is_some() && life == self.daemons[number].life.current(ended))
                || !rules.the_dead_are_blind,
        };
        // The next look follows in the next second.
        Rc::make_mut(&mut self.daemons[number]).is_look_due = false;
        self.decide(number, &look, rules);
    }

    /// The keeper decides, by the product's own rules.
    pub(super) fn decide(&mut self, number: usize, look: &Look, rules: Rules) {
        let daemon = Rc::make_mut(&mut self.daemons[number]);
        for shard in daemon.ledger.stolen(look, &daemon.serving()) {
            if let Some(hold) = daemon.held.get_mut(&shard) {
                hold.is_revoked = true;
                self.events.push("a shard was another's");
            }
        }
        let is_alive = daemon.life.lasts(look.ended) || !rules.the_dead_let_go;
        let taking = is_alive && !daemon.is_stopping;
        let mut plan = daemon.ledger.plan(look, &daemon.serving(), taking);
        if !rules.strays_are_free {
            let is_own = |shard: &Shard| {
                let lease = look.leases.iter().find(|lease| lease.shard == *shard);
                lease.is_some_and(|lease| lease.owner.as_deref() == Some(&daemon.name))
            };
            plan.take.retain(|(shard, _)| !is_own(shard));
            plan.let_go.clear();
        }
        let Plan {
            take, give, let_go, ..
        } = &plan;
        if !take.is_empty() || !give.is_empty() || !let_go.is_empty() {
            daemon.keeper = Keeping::Acting(plan);
        }
    }

    pub(super) fn release(&mut self, number: usize, shard: Shard, token: u64, fate: Fate) {
        let (_, is_heard) = self.call(number, Write::Release { shard, token }, fate);
        let unreleased = &mut Rc::make_mut(&mut self.daemons[number]).unreleased;
        if is_heard {
            unreleased.remove(&shard);
            self.events.push("a shard is released");
        } else {
            unreleased.insert(shard, token);
        }
    }

    pub(super) fn act(&mut self, number: usize, odd: Option<(usize, Fate)>, rules: Rules) {
        let now = self.clock(number);
        let fate_of = |call| match odd {
            Some((number, fate)) if number == call => fate,
            _ => Fate::Fine,
        };
        let keeper = std::mem::replace(
            &mut Rc::make_mut(&mut self.daemons[number]).keeper,
            Keeping::Nothing,
        );
        let Keeping::Acting(plan) = keeper else {
            return;
        };
        for (call, (shard, token)) in plan.let_go.iter().enumerate() {
            self.events.push("a shard of its own is let go");
            self.release(number, *shard, *token, fate_of(call));
        }
        let daemon = Rc::make_mut(&mut self.daemons[number]);
        for shard in &plan.give {
            if let Some(hold) = daemon.held.get_mut(shard).filter(|hold| !hold.is_draining) {
                hold.is_draining = true;
                daemon.ledger.gave(*shard);
                self.events.push("a shard is handed over");
            }
        }
        let Some(life) = daemon.life.current(now) else {
            return;
        };
        let name = daemon.name.clone();
        let mut slow = Vec::new();
        for (call, (shard, seen)) in plan.take.iter().enumerate() {
            let fate = fate_of(plan.let_go.len() + call);
            let before = self.table.leases.get(shard).and_then(|lease| lease.owner.clone());
            let take = Write::Take {
                shard: *shard,
                owner: name.clone(),
                seen: *seen,
                raise: u64::from(rules.takes_raise),
            };
            let (Some(token), true) = self.call(number, take, fate) else {
                continue;
            };
            if self.none_may_be_robbed && before.as_ref().is_some_and(|owner| *owner != name) {
                self.broken = Some("a daemon is robbed of its shards");
            }
            self.events.push(match before {
                Some(owner) if owner == name => "a shard of its own is taken anew",
                Some(_) => "a shard is taken over",
                None => "a free shard is taken",
            });
            let ledger = &mut Rc::make_mut(&mut self.daemons[number]).ledger;
            if rules.takes_end_giving {
                ledger.took(*shard);
            }
            if plan.beyond.contains(shard) {
                ledger.took_beyond(now);
                self.events.push("a shard is taken beyond the share");
            }
            if fate == Fate::Slow {
                slow.push((*shard, token));
            } else {
                self.serve(number, *shard, token, life, rules);
            }
        }
        if !slow.is_empty() {
            Rc::make_mut(&mut self.daemons[number]).keeper = Keeping::Waiting {
                taken: slow,
                life,
                seconds: 0,
            };
        }
    }

    pub(super) fn answer(&mut self, number: usize, rules: Rules) {
        let keeper = std::mem::replace(
            &mut Rc::make_mut(&mut self.daemons[number]).keeper,
            Keeping::Nothing,
        );
        if let (Keeping::Waiting { taken, life, .. }, Line::Up) = (keeper, self.line(number)) {
            for (shard, token) in taken {
                self.serve(number, shard, token, life, rules);
            }
        }
    }

    pub(super) fn serve(&mut self, number: usize, shard: Shard, token: u64, life: u64, rules: Rules) {
        let now = self.clock(number);
        let daemon = Rc::make_mut(&mut self.daemons[number]);
        let current = daemon.life.current(now);
        if current.is_none() || (rules.lives_are_apart && current != Some(life)) {
            self.events.push("a shard was taken too late to be served");
            return;
        }
        let hold = Hold {
            token,
            is_revoked: false,
            is_draining: false,
            has_ended: false,
        };
        if daemon.held.insert(shard, hold).is_some() {
            self.broken = Some("a shard is served anew before its earlier serving has ended");
        }
        daemon.unreleased.remove(&shard);
        let before = self.served.insert(shard, token);
        if before >= Some(token) {
            self.broken = Some("a shard is served under a token that is not higher than all before");
        }
    }

    /// The process has handed over: it tries its last releases, and takes its beat away.
    pub(super) fn leave(&mut self, number: usize) {
        let unreleased = std::mem::take(&mut Rc::make_mut(&mut self.daemons[number]).unreleased);
        for (shard, token) in unreleased {
            self.release(number, shard, token, Fate::Fine);
        }
        let name = self.daemons[number].name.clone();
        self.call(number, Write::Retire(name), Fate::Fine);
        Rc::make_mut(&mut self.daemons[number]).is_gone = true;
        self.events.push("a daemon leaves");
    }

    pub(super) fn begin_second(&mut self, event: Event, bounds: &Bounds) {
        self.now += SECOND;
        self.is_new_second = true;
        for (_, seconds) in &mut self.flights {
            *seconds += 1;
        }
        let now = self.now;
        for (number, daemon) in self.daemons.iter_mut().enumerate() {
            let daemon = Rc::make_mut(daemon);
            if daemon.is_halted {
                daemon.behind += SECOND;
            }
            if !daemon.runs() {
                continue;
            }
            daemon.expire(now - daemon.behind, bounds.rules);
            if event != Event::EndsSlowly(number) {
                for hold in daemon.held.values_mut() {
                    hold.has_ended |= hold.is_revoked || hold.is_draining;
                }
            }
            daemon.is_beat_due = true;
            daemon.is_look_due = true;
            if let Keeping::Waiting { seconds, .. } = &mut daemon.keeper {
                *seconds += 1;
            }
        }
        match event {
            Event::Nothing | Event::EndsSlowly(_) => {}
            Event::OutageBegins(outage) => self.outage = Some(outage),
            Event::OutageEnds => self.outage = None,
            Event::Pause(number) => Rc::make_mut(&mut self.daemons[number]).is_paused = true,
            Event::Halt(number) => {
                let daemon = Rc::make_mut(&mut self.daemons[number]);
                (daemon.is_paused, daemon.is_halted) = (true, true);
            }
            Event::GoesUnheard(number) => Rc::make_mut(&mut self.daemons[number]).is_unheard = true,
            Event::Resume(number) => self.resume(number),
            Event::Kill(number) => Rc::make_mut(&mut self.daemons[number]).is_gone = true,
            Event::Start(number) => {
                self.daemons[number] = Rc::new(Daemon::start(self.started, bounds.shards));
                self.started += 1;
            }
            Event::Stop(number) => {
                let daemon = Rc::make_mut(&mut self.daemons[number]);
                daemon.is_stopping = true;
                for hold in daemon.held.values_mut() {
                    hold.is_draining = true;
                }
            }
        }
    }
}
