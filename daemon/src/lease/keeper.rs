//! The keeper: looks at the leases, takes and releases, and watches over the watchdog.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use shared::clock::Clock;
use shared::domain::shard::Shard;
use shared::session_state::Fence;
use shared::storage::StorageError;
use shared::storage::leases::{Beat, LONGEST_LEASE, Lease, Leases};
use shared::telemetry::chain;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use super::giving::Giving;
use super::share::{Plan, View};
use super::vigil::Vigil;
use super::watch::{Census, Watch};
use super::watchdog::{BEAT_INTERVAL, Watchdog};
use super::{HeldShards, Hold, Holder};

/// How many shards are taken or released at once.
const AT_ONCE: usize = 8;

/// How often the last shards' release is tried at the very end.
const LAST_RELEASES: u32 = 3;

struct Held {
    hold: Hold,
    task: tokio::task::JoinHandle<()>,
}

/// Keeps a daemon's leases.
pub struct Keeper<H> {
    leases: Leases,
    /// The same, through a client that nothing but beats use.
    pulse: Leases,
    daemon: String,
    shards: u32,
    duration: Duration,
    clock: Arc<dyn Clock>,
    started_at: DateTime<Utc>,
    holder: Arc<H>,
    vigil: Vigil,
    watch: Watch,
    giving: Giving,
    free_since: BTreeMap<Shard, Instant>,
    held: BTreeMap<Shard, Held>,
    /// Shards that could not be released, with their tokens.
    unreleased: BTreeMap<Shard, u64>,
    holding: HeldShards,
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
        Self {
            leases,
            pulse,
            daemon,
            shards,
            duration,
            started_at: clock.now(),
            clock,
            holder: Arc::new(holder),
            vigil: Vigil::new(duration),
            watch: Watch::new(duration),
            giving: Giving::default(),
            free_since: BTreeMap::new(),
            held: BTreeMap::new(),
            unreleased: BTreeMap::new(),
            holding: HeldShards::default(),
        }
    }

    /// The shards held at any time.
    pub fn holding(&self) -> HeldShards {
        self.holding.clone()
    }

    /// Keeps leases until `stop`. Then it hands over: it drains and releases each shard, and removes the beat.
    pub async fn run(mut self, stop: CancellationToken) {
        let still = CancellationToken::new();
        let mut watchdog = self.watchdog(&still);
        let vigil = self.vigil.clone();
        let mut ticks = tokio::time::interval(BEAT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            tokio::select! {
                _ = ticks.tick() => self.tick(true).await,
                // The first beat came through, or the first after an outage.
                () = vigil.revived() => self.tick(true).await,
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
            ticks.tick().await;
            self.tick(false).await;
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
        };
        AbortOnDropHandle::new(tokio::spawn(watchdog.run(stop.clone())))
    }

    async fn tick(&mut self, taking: bool) {
        self.reap().await;
        let begun = Instant::now();
        match self.look().await {
            Ok((leases, beats)) => {
                self.drop_stolen(&leases);
                self.watch.see(&beats, &leases, begun, Instant::now());
                self.giving.see(&self.daemon, &leases);
                let census = self.watch.census();
                let plan = self.plan(&leases, &census, taking);
                self.let_go(plan.let_go).await;
                if taking {
                    self.give(plan.give);
                    self.take(plan.take, &plan.beyond, &census).await;
                }
            }
            Err(error) => warn!(error = %chain(&error), "could not look at the leases"),
        }
        let held = self.held.iter();
        self.holding.set(
            held.map(|(shard, held)| (*shard, held.hold.fence.clone()))
                .collect(),
        );
    }

    async fn look(&self) -> Result<(Vec<Lease>, Vec<Beat>), StorageError> {
        tokio::try_join!(self.leases.list_all(), self.leases.list_beats())
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
    fn drop_stolen(&self, leases: &[Lease]) {
        for held in self.held.values() {
            let ours = leases.iter().any(|lease| {
                lease.shard == held.hold.shard
                    && lease.token == held.hold.fence.token()
                    && lease.owner.as_deref() == Some(&self.daemon)
            });
            if !ours && !held.hold.fence.is_revoked() {
                error!(shard = %held.hold.shard, "the shard is another daemon's now: dropping it");
                held.hold.fence.revoke();
            }
        }
    }

    fn plan(&mut self, leases: &[Lease], census: &Census, taking: bool) -> Plan {
        let now = Instant::now();
        let held: BTreeMap<Shard, Option<u64>> = self
            .held
            .iter()
            .map(|(shard, held)| {
                let fence = &held.hold.fence;
                (*shard, (!fence.is_revoked()).then(|| fence.token()))
            })
            .collect();
        let orphans: BTreeSet<Shard> = self
            .free_since
            .iter()
            .filter(|(_, since)| now.duration_since(**since) >= self.duration)
            .map(|(shard, _)| *shard)
            .collect();
        let mut plan = Plan::make(&View {
            me: &self.daemon,
            shards: self.shards,
            leases,
            held: &held,
            census,
            orphans: &orphans,
            may_give: self.giving.limit(&census.sharing, now),
        });
        self.free_since.retain(|shard, _| plan.free.contains(shard));
        for shard in &plan.free {
            self.free_since.entry(*shard).or_insert(now);
        }
        if !taking {
            // Shards of its own that it would take anew are let go instead.
            let own = |shard: &Shard| {
                let lease = leases.iter().find(|lease| lease.shard == *shard);
                lease.is_some_and(|lease| lease.owner.as_deref() == Some(&self.daemon))
            };
            for (shard, seen) in std::mem::take(&mut plan.take) {
                if let Some(token) = seen.filter(|_| own(&shard)) {
                    plan.let_go.push((shard, token));
                }
            }
        }
        plan
    }

    fn give(&mut self, shards: Vec<Shard>) {
        for shard in shards {
            if let Some(held) = self
                .held
                .get(&shard)
                .filter(|held| !held.hold.drain.is_cancelled())
            {
                info!(%shard, "handing the shard over to a daemon with fewer");
                held.hold.drain.cancel();
                self.giving.gave(shard);
            }
        }
    }

    async fn take(&mut self, shards: Vec<(Shard, Option<u64>)>, beyond: &BTreeSet<Shard>, census: &Census) {
        // A lease under the name of a daemon that does not beat would be nobody's.
        if !self.vigil.is_fresh(Instant::now()) {
            return;
        }
        let (leases, daemon) = (self.leases.clone(), self.daemon.clone());
        let mut taking = futures::stream::iter(shards)
            .map(|(shard, seen)| {
                let (leases, daemon) = (&leases, &daemon);
                async move { (shard, leases.take(shard, daemon, seen).await) }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((shard, taken)) = taking.next().await {
            match taken {
                Ok(Some(token)) => {
                    let is_beyond = beyond.contains(&shard);
                    info!(%shard, token, beyond_share = is_beyond, "shard taken");
                    if is_beyond {
                        self.giving.came_back(shard, &census.sharing, Instant::now());
                    }
                    self.serve(shard, token);
                }
                // Another daemon was faster; or an answer was lost, and the next look finds that the table names this
                // daemon.
                Ok(None) => {}
                Err(error) => warn!(%shard, error = %chain(&error), "could not take the shard"),
            }
        }
    }

    fn serve(&mut self, shard: Shard, token: u64) {
        let hold = Hold {
            shard,
            fence: Fence::new(token),
            drain: CancellationToken::new(),
        };
        if !self.vigil.guard(shard, &hold.fence, Instant::now()) {
            warn!(%shard, token, "taken too late to be served: this daemon could not beat");
            return;
        }
        let task = self.holder.serve(hold.clone());
        self.unreleased.remove(&shard);
        self.held.insert(shard, Held { hold, task });
    }
}
