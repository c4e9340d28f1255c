//! A keeper whose shards are served by tasks that do nothing.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use daemon::lease::{Hold, Holder, Keeper};
use shared::storage::leases::Load;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::world::World;

/// Serves each shard by a task that does nothing.
pub struct Idle {
    runtime: Handle,
    /// Whether a task ends when its shard is given up.
    ends: bool,
}

impl Idle {
    /// On this runtime, until the shards are given up.
    pub fn on(runtime: Handle) -> Self {
        Self { runtime, ends: true }
    }

    /// On the test's runtime, without an end.
    pub fn endless() -> Self {
        Self {
            runtime: Handle::current(),
            ends: false,
        }
    }
}

impl Holder for Idle {
    fn serve(&self, hold: Hold) -> JoinHandle<()> {
        if self.ends {
            self.runtime.spawn(async move { hold.fence.revoked().await })
        } else {
            self.runtime.spawn(std::future::pending())
        }
    }

    fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    fn round_trips_since(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn load(&self) -> Load {
        Load::default()
    }
}

impl World {
    /// The keeper of a daemon `a`, before it runs.
    pub fn idle_keeper(&self, holder: Idle) -> Keeper<Idle> {
        Keeper::new(
            self.leases.clone(),
            self.leases.clone(),
            "a".to_owned(),
            self.shards,
            self.lease,
            Arc::new(self.clock.clone()),
            holder,
        )
    }
}
