//! What a daemon does for one shard while it holds the lease: it keeps the shard's
//! instances as they are wanted, and is the only consumer of its two queues.

mod hold;
mod nudges;
mod reconcile;
mod send;
mod sends;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::info;

use self::reconcile::Reconciler;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::{Hold, Holder};

/// How often all instances of a shard are looked at: finds what a lost nudge asked for.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// The pause after a queue or table could not be read.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Serves shards.
#[derive(Debug, Clone)]
pub struct Shards {
    deps: Arc<Deps>,
}

impl Shards {
    /// Shards served with these.
    pub fn new(deps: Arc<Deps>) -> Self {
        Self { deps }
    }
}

impl Holder for Shards {
    fn serve(&self, hold: Hold) -> JoinHandle<()> {
        tokio::spawn(serve(self.deps.clone(), hold))
    }

    fn round_trips_since(&self) -> Option<DateTime<Utc>> {
        self.deps.round_trips.oldest()
    }
}

async fn serve(deps: Arc<Deps>, hold: Hold) {
    let links = Arc::new(Links::default());
    let lanes = TaskTracker::new();
    let reconciler = Arc::new(Reconciler::new(deps.clone(), hold.clone(), links.clone()));
    tokio::join!(
        sweep(&reconciler, &hold),
        nudges::consume(&deps, &hold, &reconciler),
        sends::consume(&deps, &hold, &links, &lanes),
    );
    // Nothing new is taken any more. What is on the wire gets its acknowledgement, then
    // the sockets close.
    lanes.close();
    lanes.wait().await;
    reconciler.stop_all().await;
    info!(shard = %hold.shard, lost = hold.fence.is_revoked(), "shard no longer served");
}

async fn sweep(reconciler: &Arc<Reconciler>, hold: &Hold) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !is_over(hold) {
        tokio::select! {
            _ = ticks.tick() => {
                if !reconciler.sweep().await {
                    ticks.reset_after(PAUSE_AFTER_FAILURE);
                }
            }
            () = over(hold) => {}
        }
    }
}

fn is_over(hold: &Hold) -> bool {
    hold.drain.is_cancelled() || hold.fence.is_revoked()
}

/// Waits until the shard is to be given up, in order or not.
async fn over(hold: &Hold) {
    tokio::select! {
        () = hold.drain.cancelled() => {}
        () = hold.fence.revoked() => {}
    }
}
