//! Which shards this daemon holds. It beats, takes its share of the shards, gives up those beyond it, and stops
//! serving at once a shard that another daemon has taken.
//!
//! Ownership needs no clock that two machines agree on. A daemon counts as alive while its beat changes within its
//! own duration on *our* monotonic clock. It counts itself as dead before anyone else can.
//!
//! Two tasks do it. The watchdog beats, and revokes every fence in time where it cannot. The keeper looks at the
//! table, takes and releases; however slow that is, it delays no beat. Both run on a thread of their own
//! ([`LeaseThread`]), so that nothing that serves a shard delays them either.

mod ending;
mod giving;
mod keeper;
mod ledger;
#[cfg(test)]
mod model;
mod progress;
mod share;
mod thread;
mod vigil;
mod watch;
mod watchdog;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::shard::Shard;
use shared::session_state::Fence;
use shared::storage::leases::Load;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::keeper::Keeper;
pub use self::thread::LeaseThread;

/// A lease while this process has it: what whoever serves the shard listens to.
#[derive(Debug, Clone)]
pub struct Hold {
    /// The shard.
    pub shard: Shard,
    /// The fence of all writes under this lease. Once it is revoked the lease is lost: drop everything, write
    /// nothing.
    pub fence: Fence,
    /// Cancelled when the shard is handed over: finish what was begun and stop.
    pub drain: CancellationToken,
}

/// Runs whatever a shard needs while it is held.
pub trait Holder: Send + Sync + 'static {
    /// Begins to serve a shard, on [`Holder::runtime`] whatever runtime this is called on. The task ends when nothing of
    /// that goes on any more.
    fn serve(&self, hold: Hold) -> tokio::task::JoinHandle<()>;

    /// The runtime that serves the shards. A daemon whose runtime runs nothing for too long beats no more.
    fn runtime(&self) -> Handle;

    /// A lower bound of the last round trips of everything shown as connected.
    fn round_trips_since(&self) -> Option<DateTime<Utc>>;

    /// What is in hand, over all shards.
    fn load(&self) -> Load;
}

/// The shards that are held now: for health checks.
#[derive(Debug, Clone, Default)]
pub struct HeldShards {
    held: Arc<Mutex<Vec<(Shard, Fence)>>>,
    stuck: CancellationToken,
    last_beat: LastBeat,
}

/// When the last beat that is stored began; `None` before the first. Clones share it.
#[derive(Debug, Clone, Default)]
struct LastBeat(Arc<Mutex<Option<Instant>>>);

impl LastBeat {
    /// One that began at `begun` is stored.
    fn note(&self, begun: Instant) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(Some(begun));
    }

    fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldShards {
    /// The shards held now.
    pub fn get(&self) -> Vec<Shard> {
        let held = self.held.lock().expect("no holder panics");
        let live = held.iter().filter(|(_, fence)| !fence.is_revoked());
        live.map(|(shard, _)| *shard).collect()
    }

    /// How long ago the last beat that is stored began: where that is longer than the lease, others may have the shards. `None`
    /// before the first.
    pub fn since_last_beat(&self) -> Option<Duration> {
        self.last_beat.get().map(|begun| begun.elapsed())
    }

    /// Whether the keeper has ended, since a shard whose lease was lost did not end. The process must end too.
    pub fn is_stuck(&self) -> bool {
        self.stuck.is_cancelled()
    }

    /// Waits until the keeper has given up.
    pub async fn stuck(&self) {
        self.stuck.cancelled().await;
    }

    /// The keeper gives up.
    pub(crate) fn give_up(&self) {
        self.stuck.cancel();
    }

    fn set(&self, held: Vec<(Shard, Fence)>) {
        *self.held.lock().expect("no holder panics") = held;
    }
}
