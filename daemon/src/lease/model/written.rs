//! A state as a key: everything of it that matters later.

use std::rc::Rc;
use std::time::Duration;

use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Lease};

use super::key::Key;
use super::table::Write;
use super::world::{Daemon, Keeping, World};

/// From this age on all times are alike: it is more than any rule looks back.
const LONG_AGO: Duration = Duration::from_secs(12);

impl World {
    /// What of it matters later.
    pub fn key(&self) -> Rc<[u8]> {
        let mut key = Key::new(self.now);
        for beat in self.table.beats.values() {
            key.know(&beat.daemon, beat.counter);
        }
        for (write, _) in &self.flights {
            if let Write::Beat { beat, .. } = write {
                key.know(&beat.daemon, beat.counter);
            }
        }
        for daemon in self.daemons.iter().filter(|daemon| !daemon.is_gone) {
            if let Some((beat, _)) = &daemon.beating {
                key.know(&daemon.name, beat.counter);
            }
            if let Keeping::Looking {
                beats: Some(beats), ..
            } = &daemon.keeper
            {
                for beat in beats {
                    key.know(&beat.daemon, beat.counter);
                }
            }
            daemon.ledger.know(&mut key);
        }
        key.flag(self.is_new_second);
        key.number(i64::from(self.faults));
        key.number(i64::from(self.started));
        key.number(self.outage.map_or(-1, |outage| outage.line as i64));
        let of = self.outage.and_then(|outage| outage.of);
        key.number(of.map_or(-1, |of| i64::try_from(of).expect("a few")));
        self.write_leases(&mut key, self.table.leases.values());
        Self::write_beats(&mut key, self.table.beats.values());
        for shard in (0..self.shards).map(Shard) {
            self.token(&mut key, shard, self.served.get(&shard).copied());
        }
        key.count(self.flights.len());
        for (write, seconds) in &self.flights {
            key.number(i64::from(*seconds));
            self.write_flight(&mut key, write);
        }
        for daemon in &self.daemons {
            key.name(if daemon.is_gone { "" } else { &daemon.name });
            if !daemon.is_gone {
                key.is_now(self.now - daemon.behind);
                self.write_daemon(&mut key, daemon);
            }
        }
        key.done()
    }

    /// A token by its distance from the table's.
    fn token(&self, key: &mut Key, shard: Shard, token: Option<u64>) {
        let of_the_table = i64::try_from(self.table.token(shard).unwrap_or(0)).expect("a few");
        let distance = |token| i64::try_from(token).expect("a few") - of_the_table;
        key.number(token.map_or(i64::from(i32::MIN), distance));
    }

    fn write_leases<'a>(&self, key: &mut Key, leases: impl ExactSizeIterator<Item = &'a Lease>) {
        key.count(leases.len());
        for lease in leases {
            key.shard(lease.shard);
            key.name(lease.owner.as_deref().unwrap_or_default());
            self.token(key, lease.shard, Some(lease.token));
        }
    }

    fn write_beats<'a>(key: &mut Key, beats: impl ExactSizeIterator<Item = &'a Beat>) {
        key.count(beats.len());
        for beat in beats {
            key.name(&beat.daemon);
            key.flag(beat.draining);
            key.counter(&beat.daemon, Some(beat.counter));
        }
    }

    fn write_flight(&self, key: &mut Key, write: &Write) {
        match write {
            Write::Beat { beat, .. } => Self::write_beats(key, std::iter::once(beat)),
            Write::Retire(name) => key.name(name),
            Write::Take {
                shard, owner, seen, ..
            } => {
                key.shard(*shard);
                key.name(owner);
                self.token(key, *shard, *seen);
            }
            Write::Release { shard, token } => {
                key.shard(*shard);
                key.name("release");
                self.token(key, *shard, Some(*token));
            }
        }
    }

    fn write_daemon(&self, key: &mut Key, daemon: &Daemon) {
        for flag in [
            daemon.is_paused,
            daemon.is_halted,
            daemon.is_stopping,
            daemon.is_unheard,
            daemon.is_beat_due,
            daemon.is_look_due,
        ] {
            key.flag(flag);
        }
        key.time(daemon.life.until(), Duration::ZERO);
        match &daemon.beating {
            Some((beat, begun)) => {
                key.time(Some(*begun), LONG_AGO);
                Self::write_beats(key, std::iter::once(beat));
            }
            None => key.time(None, LONG_AGO),
        }
        key.count(daemon.held.len());
        for (shard, hold) in &daemon.held {
            key.shard(*shard);
            for flag in [hold.is_revoked, hold.is_draining, hold.has_ended] {
                key.flag(flag);
            }
            self.token(key, *shard, Some(hold.token));
        }
        key.count(daemon.unreleased.len());
        for (shard, token) in &daemon.unreleased {
            key.shard(*shard);
            self.token(key, *shard, Some(*token));
        }
        match &daemon.keeper {
            Keeping::Nothing => key.number(0),
            Keeping::Looking {
                begun,
                life,
                leases,
                beats,
            } => {
                key.number(1);
                key.time(Some(*begun), LONG_AGO);
                key.flag(life.is_some() && daemon.life.current(self.now - daemon.behind) == *life);
                key.flag(leases.is_some());
                if let Some(leases) = leases {
                    self.write_leases(key, leases.iter());
                }
                key.flag(beats.is_some());
                if let Some(beats) = beats {
                    Self::write_beats(key, beats.iter());
                }
            }
            Keeping::Acting(plan) => {
                key.number(2);
                key.count(plan.take.len());
                for (shard, seen) in &plan.take {
                    key.shard(*shard);
                    key.flag(plan.beyond.contains(shard));
                    self.token(key, *shard, *seen);
                }
                key.count(plan.give.len());
                for shard in &plan.give {
                    key.shard(*shard);
                }
                for (shard, token) in &plan.let_go {
                    key.shard(*shard);
                    self.token(key, *shard, Some(*token));
                }
            }
            Keeping::Waiting { taken, life, seconds } => {
                key.number(3);
                key.number(i64::from(*seconds));
                key.flag(daemon.life.current(self.now - daemon.behind) == Some(*life));
                for (shard, token) in taken {
                    key.shard(*shard);
                    self.token(key, *shard, Some(*token));
                }
            }
        }
        daemon.ledger.write(key, LONG_AGO);
    }
}
