//! Which shards this daemon holds: it beats, takes its share of the shards, gives up what
//! is too much, and stops at once where a shard is another's.
//!
//! Ownership needs no clock that two machines agree on. A daemon counts as alive while its
//! beat changes within its own duration on *our* monotonic clock, and this daemon counts
//! itself as dead before anyone else can.

mod share;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::clock::Clock;
use shared::domain::shard::Shard;
use shared::session_state::Fence;
use shared::storage::StorageError;
use shared::storage::leases::{Beat, Lease, Leases, Load, Vitals};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::share::Plan;
use self::watch::Watch;
use crate::meter::resident_bytes;

/// The time between two beats.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// How long before the end of its lease a daemon that cannot beat stops: time enough to
/// drop its sockets.
const STOP_MARGIN: Duration = Duration::from_millis(700);

/// What a holder of a shard listens to.
#[derive(Debug, Clone)]
pub struct Hold {
    /// The shard.
    pub shard: Shard,
    /// The fence of all that is written under this lease. Once it is revoked the lease is
    /// lost: drop everything, write nothing.
    pub fence: Fence,
    /// Asks to finish what was begun and stop.
    pub drain: CancellationToken,
}

/// Runs whatever a shard needs while it is held.
pub trait Holder: Send + Sync + 'static {
    /// Begins to serve a shard; the task ends when all of it is over.
    fn serve(&self, hold: Hold) -> tokio::task::JoinHandle<()>;

    /// A lower bound of the last round trips of everything shown as connected.
    fn round_trips_since(&self) -> Option<DateTime<Utc>>;

    /// What is in hand, of all shards together.
    fn load(&self) -> Load;
}

struct Held {
    hold: Hold,
    task: tokio::task::JoinHandle<()>,
}

/// Keeps a daemon's leases.
pub struct Keeper<H> {
    leases: Leases,
    daemon: String,
    shards: u32,
    duration: Duration,
    clock: Arc<dyn Clock>,
    started_at: DateTime<Utc>,
    holder: H,
    counter: u64,
    last_beat: Instant,
    watch: Watch,
    held: BTreeMap<Shard, Held>,
    holding: HeldShards,
}

/// The shards that are held now, for whoever asks whether this daemon is ready.
#[derive(Debug, Clone, Default)]
pub struct HeldShards(Arc<Mutex<Vec<Shard>>>);

impl HeldShards {
    /// The shards held now.
    pub fn get(&self) -> Vec<Shard> {
        self.0.lock().expect("no holder panics").clone()
    }
}

impl<H: Holder> Keeper<H> {
    /// A keeper for the daemon of this name; `duration` is the silence after which its
    /// shards are another's.
    pub fn new(
        leases: Leases,
        daemon: String,
        shards: u32,
        duration: Duration,
        clock: Arc<dyn Clock>,
        holder: H,
    ) -> Self {
        Self {
            leases,
            daemon,
            shards,
            duration,
            started_at: clock.now(),
            clock,
            holder,
            counter: 0,
            last_beat: Instant::now(),
            watch: Watch::default(),
            held: BTreeMap::new(),
            holding: HeldShards::default(),
        }
    }

    /// The shards held, as they change.
    pub fn holding(&self) -> HeldShards {
        self.holding.clone()
    }

    /// Keeps leases until `stop`; then hands over in order: drains each shard, releases it
    /// and removes the beat.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(BEAT_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            tokio::select! {
                _ = ticks.tick() => self.tick(true).await,
                () = stop.cancelled() => {}
            }
        }
        for held in self.held.values() {
            held.hold.drain.cancel();
        }
        // The beat goes on while shards drain: their writes need the lease.
        while !self.held.is_empty() {
            ticks.tick().await;
            self.tick(false).await;
        }
        if let Err(error) = self.leases.retire(&self.daemon).await {
            warn!(error = %chain(&error), "could not remove this daemon's beat");
        }
    }

    async fn tick(&mut self, taking: bool) {
        self.beat().await;
        self.reap().await;
        match self.look().await {
            Ok((leases, beats)) => {
                self.drop_stolen(&leases);
                self.watch.see(&beats, Instant::now());
                if taking {
                    self.balance(&leases).await;
                }
            }
            Err(error) => warn!(error = %chain(&error), "could not look at the leases"),
        }
        let now: Vec<Shard> = self.held.keys().copied().collect();
        *self.holding.0.lock().expect("no holder panics") = now;
    }

    async fn beat(&mut self) {
        let begun = Instant::now();
        let beat = Beat {
            daemon: self.daemon.clone(),
            counter: self.counter + 1,
            duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            at: self.clock.now(),
            round_trips_since: self.holder.round_trips_since(),
            vitals: Some(Vitals {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started_at: self.started_at,
                resident_bytes: resident_bytes(),
                load: self.holder.load(),
            }),
        };
        let deadline = self.last_beat + self.duration.saturating_sub(STOP_MARGIN);
        // A beat counts from when it was begun: another's clock may have seen it that early.
        match tokio::time::timeout_at(deadline.max(begun + BEAT_INTERVAL), self.leases.beat(&beat)).await {
            Ok(Ok(())) => {
                self.counter += 1;
                self.last_beat = begun;
            }
            Ok(Err(error)) => warn!(error = %chain(&error), "could not beat"),
            Err(_) => warn!("a beat did not come through in time"),
        }
        if Instant::now() >= self.last_beat + self.duration.saturating_sub(STOP_MARGIN)
            && !self.held.is_empty()
        {
            error!(
                shards = self.held.len(),
                "could not beat for too long: dropping all shards"
            );
            for held in self.held.values() {
                held.hold.fence.revoke();
            }
        }
    }

    async fn look(&self) -> Result<(Vec<Lease>, Vec<Beat>), StorageError> {
        tokio::try_join!(self.leases.leases(), self.leases.beats())
    }

    /// Releases the shards whose tasks have ended.
    async fn reap(&mut self) {
        let ended: Vec<Shard> = self
            .held
            .iter()
            .filter(|(_, held)| held.task.is_finished())
            .map(|(shard, _)| *shard)
            .collect();
        for shard in ended {
            let Some(held) = self.held.remove(&shard) else {
                continue;
            };
            if let Err(panic) = held.task.await {
                error!(%shard, error = %panic, "serving the shard ended in a panic");
            }
            if held.hold.fence.is_revoked() {
                continue;
            }
            match self.leases.release(shard, held.hold.fence.token()).await {
                Ok(()) => info!(%shard, token = held.hold.fence.token(), "shard released"),
                Err(error) => warn!(%shard, error = %chain(&error), "could not release the shard"),
            }
        }
    }

    /// Where the table says that a shard is another's, stop at once.
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

    async fn balance(&mut self, leases: &[Lease]) {
        let now = Instant::now();
        let living = self.watch.living(now);
        let plan = Plan::make(
            &self.daemon,
            self.shards,
            leases,
            &living,
            self.watch.settled(now),
        );
        for shard in plan.give {
            if let Some(held) = self.held.get(&shard) {
                if !held.hold.drain.is_cancelled() {
                    info!(%shard, "handing the shard over to a daemon with fewer");
                }
                held.hold.drain.cancel();
            }
        }
        for (shard, seen) in plan.take {
            if self.held.contains_key(&shard) {
                continue;
            }
            match self.leases.take(shard, &self.daemon, seen).await {
                Ok(Some(token)) => {
                    info!(%shard, token, "shard taken");
                    let hold = Hold {
                        shard,
                        fence: Fence::new(token),
                        drain: CancellationToken::new(),
                    };
                    let task = self.holder.serve(hold.clone());
                    self.held.insert(shard, Held { hold, task });
                }
                Ok(None) => {}
                Err(error) => {
                    warn!(%shard, error = %chain(&error), "could not take the shard");
                    return;
                }
            }
        }
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
