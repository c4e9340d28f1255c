//! The keeper: looks at the leases, takes and releases, and watches over the watchdog.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use shared::clock::Clock;
use shared::domain::shard::Shard;
use shared::storage::StorageError;
use shared::storage::leases::{LONGEST_LEASE, Leases, Unreadable};
use shared::telemetry::chain;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use super::ending::{Ending, LONGEST_END, Verdict};
use super::ledger::{Ledger, Look, Serving};
use super::progress::{LONGEST_STANDSTILL, Progress};
use super::share::Plan;
use super::vigil::Vigil;
use super::watchdog::{BEAT_INTERVAL, Watchdog};
use super::{HeldShards, Hold, Holder};

/// How many shards are taken or released at once.
const AT_ONCE: usize = 8;

/// How often the last shards' release is tried at the very end.
const LAST_RELEASES: u32 = 3;

struct Held {
    hold: Hold,
    task: tokio::task::JoinHandle<()>,
    ending: Ending,
}

/// Keeps a daemon's leases.
pub struct Keeper<H> {
    leases: Leases,
    /// The same, through a client that nothing but beats use.
    pulse: Leases,
    daemon: String,
    duration: Duration,
    clock: Arc<dyn Clock>,
    started_at: DateTime<Utc>,
    holder: Arc<H>,
    vigil: Vigil,
    ledger: Ledger,
    held: BTreeMap<Shard, Held>,
    /// Shards that could not be released, with their tokens.
    unreleased: BTreeMap<Shard, u64>,
    /// What the last look could not read, as it was logged.
    unreadable: BTreeSet<String>,
    holding: HeldShards,
    /// How long a shard whose lease is lost may take to end.
    longest_end: Duration,
    /// For how long nothing may run where shards are served.
    longest_standstill: Duration,
}

impl<H: Holder> Keeper<H> {
    /// A keeper for the daemon of this name. `pulse` are the leases through a client of its own, for beats alone.
    /// After a silence of `duration`, [`LONGEST_LEASE`] at most, other daemons may take this one's shards.
    pub fn new(
        leases: Leases,
        pulse: Leases,
        daemon: String,
        shards: u32,
        duration: Duration,
        clock: Arc<dyn Clock>,
        holder: H,
    ) -> Self {
        let duration = duration.min(LONGEST_LEASE);
        let vigil = Vigil::new(duration);
        let holding = HeldShards {
            last_beat: vigil.last_beat(),
            ..HeldShards::default()
        };
        Self {
            leases,
            pulse,
            ledger: Ledger::new(daemon.clone(), shards, duration),
            daemon,
            duration,
            started_at: clock.now(),
            clock,
            holder: Arc::new(holder),
            vigil,
            held: BTreeMap::new(),
            unreleased: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            holding,
            longest_end: LONGEST_END,
            longest_standstill: LONGEST_STANDSTILL,
        }
    }

    /// The same keeper, which gives up after `longest_end` where a shard whose lease is lost does not end.
    #[must_use]
    pub fn giving_up_after(mut self, longest_end: Duration) -> Self {
        self.longest_end = longest_end;
        self
    }

    /// The same keeper, which beats no more after `standstill` in which nothing ran on [`Holder::runtime`].
    #[must_use]
    pub fn silent_after(mut self, standstill: Duration) -> Self {
        self.longest_standstill = standstill;
        self
    }

    /// The shards held at any time.
    pub fn holding(&self) -> HeldShards {
        self.holding.clone()
    }

    /// Keeps leases until `stop`. Then it hands over: it drains and releases each shard, and removes the beat.
    ///
    /// It gives up where a shard whose lease is lost does not end: see [`HeldShards::is_stuck`]. It then beats no more, so
    /// that others take everything over, and all fences are revoked.
    pub async fn run(mut self, stop: CancellationToken) {
        let still = CancellationToken::new();
        let mut watchdog = self.watchdog(&still);
        let vigil = self.vigil.clone();
        let mut ticks = tokio::time::interval(BEAT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            if self.holding.is_stuck() {
                return;
            }
            tokio::select! {
                _ = ticks.tick() => self.tick(&stop).await,
                // The first beat came through, or the first after an outage.
                () = vigil.revived() => self.tick(&stop).await,
                ended = &mut watchdog => {
                    error!(error = ?ended.err(), "the watchdog ended, and with it all leases: it begins anew");
                    tokio::time::sleep(BEAT_INTERVAL).await;
                    watchdog = self.watchdog(&still);
                }
                () = stop.cancelled() => {}
            }
        }
        self.vigil.drain();
        for held in self.held.values() {
            held.hold.drain.cancel();
        }
        // The beat goes on while shards drain: their writes need the lease.
        while !self.held.is_empty() {
            if self.holding.is_stuck() {
                return;
            }
            ticks.tick().await;
            self.tick(&stop).await;
        }
        for _ in 0..LAST_RELEASES {
            self.release_rest().await;
        }
        still.cancel();
        if let Err(panic) = watchdog.await {
            error!(error = %panic, "the watchdog ended in a panic");
        }
        if let Err(error) = self.leases.retire(&self.daemon).await {
            warn!(error = %chain(&error), "could not remove this daemon's beat");
        }
    }

    fn watchdog(&self, stop: &CancellationToken) -> AbortOnDropHandle<()> {
        let watchdog = Watchdog {
            pulse: Arc::new(self.pulse.clone()),
            daemon: self.daemon.clone(),
            duration: self.duration,
            clock: self.clock.clone(),
            started_at: self.started_at,
            holder: self.holder.clone(),
            vigil: self.vigil.clone(),
            progress: Progress::of(self.holder.runtime(), self.longest_standstill),
        };
        AbortOnDropHandle::new(tokio::spawn(watchdog.run(stop.clone())))
    }

    async fn tick(&mut self, stop: &CancellationToken) {
        self.reap().await;
        self.see_to_lost(Instant::now());
        match self.look().await {
            Ok(look) => {
                self.drop_stolen(&look);
                // Where its beats are not answered in time others may see them all the same. It then keeps no shard
                // from them that it does not serve. Nor does it where it stands still.
                let taking = !stop.is_cancelled() && self.vigil.may_take(Instant::now());
                let plan = self.ledger.plan(&look, &self.serving(), taking);
                self.follow(plan, stop).await;
            }
            Err(error) => warn!(error = %chain(&error), "could not look at the leases"),
        }
        let held = self.held.iter();
        self.holding.set(
            held.map(|(shard, held)| (*shard, held.hold.fence.clone()))
                .collect(),
        );
    }

    async fn look(&mut self) -> Result<Look, StorageError> {
        let begun = Instant::now();
        let life = self.vigil.life(begun);
        // The leases come first. A silent owner may beat again and take its shard anew between the two reads: then its
        // beat is seen, and the token that was read takes nothing. The other way about it would be robbed.
        let leases = self.leases.look_at_leases().await?;
        let beats = self.leases.look_at_beats().await?;
        let ended = Instant::now();
        self.tell_of_unreadable(&leases.unreadable, &beats.unreadable);
        let strange = beats.unreadable.into_iter().map(|beat| (beat.sk, beat.mark));
        Ok(Look {
            leases: leases.items,
            beats: beats.items,
            strange: strange.collect(),
            unreadable: leases.unreadable.iter().filter_map(Unreadable::shard).collect(),
            begun,
            ended,
            lives: life.is_some() && life == self.vigil.life(ended),
        })
    }

    /// Logs what cannot be read, once for as long as the fault stays the same.
    fn tell_of_unreadable(&mut self, leases: &[Unreadable], beats: &[Unreadable]) {
        let before = std::mem::take(&mut self.unreadable);
        for lease in leases {
            let fault = chain(&lease.error);
            if !before.contains(&fault) {
                error!(error = %fault, "a lease cannot be read: nobody takes its shard");
            }
            self.unreadable.insert(fault);
        }
        for beat in beats {
            let fault = chain(&beat.error);
            if !before.contains(&fault) {
                warn!(error = %fault, "a daemon's beat cannot be read: it counts as alive while its item changes, and gets no share");
            }
            self.unreadable.insert(fault);
        }
    }

    fn serving(&self) -> Serving {
        let served = self.held.iter().map(|(shard, held)| {
            let fence = &held.hold.fence;
            (*shard, (!fence.is_revoked()).then(|| fence.token()))
        });
        served.collect()
    }

    async fn follow(&mut self, plan: Plan, stop: &CancellationToken) {
        self.let_go(plan.let_go.clone()).await;
        self.give(&plan);
        self.take(&plan, stop).await;
    }

    /// Releases the shards whose tasks have ended.
    async fn reap(&mut self) {
        let ended: Vec<Shard> = self
            .held
            .iter()
            .filter(|(_, held)| held.task.is_finished())
            .map(|(shard, _)| *shard)
            .collect();
        let mut released = Vec::new();
        for shard in ended {
            let Some(held) = self.held.remove(&shard) else {
                continue;
            };
            if let Err(panic) = held.task.await {
                error!(%shard, error = %panic, "serving the shard ended in a panic: what it began ends, and the shard is taken anew");
                // Its sessions were not ended in order. The lease stays, so that nobody takes it
                // before they are told.
                held.hold.fence.revoke();
            }
            self.vigil.dismiss(shard);
            if !held.hold.fence.is_revoked() {
                released.push((shard, held.hold.fence.token()));
            }
        }
        self.let_go(released).await;
    }

    /// Sees to shards whose leases are lost and which are served still.
    fn see_to_lost(&mut self, now: Instant) {
        for (shard, held) in &mut self.held {
            if !held.hold.fence.is_revoked() || held.task.is_finished() {
                continue;
            }
            match held.ending.look(now, self.longest_end) {
                Verdict::Wait => {}
                Verdict::Log => error!(%shard, "the shard's lease is lost, and serving it does not end"),
                Verdict::GiveUp => {
                    error!(%shard, "serving a lost shard has not ended: this daemon gives up all, so that others take it over");
                    self.holding.give_up();
                }
            }
        }
    }

    /// Releases these shards, each under its token. One whose release fails is found by the next look: its lease
    /// names this daemon, which does not hold it.
    async fn let_go(&mut self, shards: Vec<(Shard, u64)>) {
        let leases = &self.leases;
        let mut releasing = futures::stream::iter(shards)
            .map(|(shard, token)| async move { (shard, token, leases.release(shard, token).await) })
            .buffer_unordered(AT_ONCE);
        while let Some((shard, token, released)) = releasing.next().await {
            match released {
                Ok(()) => {
                    info!(%shard, token, "shard released");
                    self.unreleased.remove(&shard);
                }
                Err(error) => {
                    warn!(%shard, error = %chain(&error), "could not release the shard");
                    self.unreleased.insert(shard, token);
                }
            }
        }
    }

    async fn release_rest(&mut self) {
        let rest: Vec<(Shard, u64)> = std::mem::take(&mut self.unreleased).into_iter().collect();
        self.let_go(rest).await;
    }

    /// Stops serving, at once, each shard whose lease names another daemon.
    fn drop_stolen(&self, look: &Look) {
        for shard in self.ledger.stolen(look, &self.serving()) {
            error!(%shard, "the shard is another daemon's now: dropping it");
            if let Some(held) = self.held.get(&shard) {
                held.hold.fence.revoke();
            }
        }
    }

    fn give(&mut self, plan: &Plan) {
        for shard in &plan.give {
            if let Some(held) = self
                .held
                .get(shard)
                .filter(|held| !held.hold.drain.is_cancelled())
            {
                info!(%shard, "handing the shard over to a daemon with fewer");
                held.hold.drain.cancel();
                self.ledger.gave(*shard);
            }
        }
    }

    /// Takes shards until `stop`, and no new one after an interval: the next tick goes on with the rest. Until then
    /// nobody would look whether this daemon's own shards are its own still.
    async fn take(&mut self, plan: &Plan, stop: &CancellationToken) {
        // A lease under the name of a daemon that does not beat would be nobody's.
        let Some(life) = self.vigil.life(Instant::now()) else {
            return;
        };
        let (leases, daemon) = (self.leases.clone(), self.daemon.clone());
        let (begun, mut rest) = (Instant::now(), plan.take.clone().into_iter());
        let goes_on = || begun.elapsed() < BEAT_INTERVAL && !stop.is_cancelled();
        let next = std::iter::from_fn(move || if goes_on() { rest.next() } else { None });
        let mut taking = futures::stream::iter(next)
            .map(|(shard, seen)| {
                let (leases, daemon) = (&leases, &daemon);
                async move { (shard, leases.take(shard, daemon, seen).await) }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((shard, taken)) = taking.next().await {
            match taken {
                Ok(Some(token)) => {
                    let is_beyond = plan.beyond.contains(&shard);
                    info!(%shard, token, beyond_share = is_beyond, "shard taken");
                    self.ledger.took(shard);
                    if is_beyond {
                        self.ledger.took_beyond(Instant::now());
                    }
                    self.serve(shard, token, life);
                }
                // Another daemon was faster; or an answer was lost, and the next look finds that the table names this
                // daemon.
                Ok(None) => {}
                Err(error) => warn!(%shard, error = %chain(&error), "could not take the shard"),
            }
        }
    }

    /// Serves a shard that was taken in this life.
    fn serve(&mut self, shard: Shard, token: u64, life: u64) {
        let hold = Hold {
            shard,
            fence: self.vigil.fence(token),
            drain: CancellationToken::new(),
        };
        if !self.vigil.guard(shard, &hold.fence, life, Instant::now()) {
            warn!(%shard, token, "taken too late to be served: this daemon could not beat");
            return;
        }
        let task = self.holder.serve(hold.clone());
        self.unreleased.remove(&shard);
        let ending = Ending::default();
        self.held.insert(shard, Held { hold, task, ending });
    }
}
