//! A sweep: a look at every instance of a shard, many in one request.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use shared::ids::InstanceId;
use shared::storage::instances::{READ_TOGETHER, ReadTogether};
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::warn;

use super::Reconciler;

/// For how long what was read of many instances counts, while one after the other is seen to. The rest is read anew.
const FRESH: Duration = Duration::from_secs(5);

/// The first and the longest pause before instances that could not be read are read again, alone. Each is twice the last. A sweep
/// gives up after the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

impl Reconciler {
    /// Looks at every instance of the shard, many in one request. Those that could not be read are read again after growing
    /// pauses. `false` where that was in vain too, and may not be soon. One that is damaged costs that instance alone.
    pub async fn sweep(self: &Arc<Self>) -> bool {
        let shard = self.hold.shard;
        let mut ids = match self
            .deps
            .instances
            .list_ids_by_shard(self.deps.network, shard)
            .await
        {
            Ok(ids) => ids,
            Err(error) => {
                warn!(%shard, error = %chain(&error), "could not read the shard's instances");
                return false;
            }
        };
        // The index may name one twice, on two pages. A request may not.
        ids.sort_unstable();
        ids.dedup();
        let mut pause = FIRST_PAUSE;
        loop {
            ids = self.look_at_all(ids).await;
            if ids.is_empty() {
                return true;
            }
            if pause > LONGEST_PAUSE {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Looks at these instances. Answers those that could not be read and may be soon. Where none of many can be read, the table
    /// is away, and the rest is not asked for.
    async fn look_at_all(self: &Arc<Self>, ids: Vec<InstanceId>) -> Vec<InstanceId> {
        let shard = self.hold.shard;
        let mut open = VecDeque::from(ids);
        let mut unread = Vec::new();
        while !open.is_empty() {
            let ids: Vec<InstanceId> = open.drain(..open.len().min(READ_TOGETHER)).collect();
            let (look, fresh_until) = (self.begin_look(), Instant::now() + FRESH);
            let ReadTogether { read, left } = match self.deps.instances.get_together_with_deleted(&ids).await
            {
                Ok(together) => together,
                Err(error) => {
                    warn!(%shard, count = ids.len(), error = %chain(&error), "could not look at some instances");
                    if !error.nature().is_permanent() {
                        unread.extend(open);
                        unread.extend(ids);
                        return unread;
                    }
                    // The fault may be one instance's, and costs that one alone.
                    for id in ids {
                        if !self.look_alone(id).await {
                            unread.push(id);
                        }
                    }
                    continue;
                }
            };
            if !left.is_empty() {
                warn!(%shard, count = left.len(), "the table had no capacity for a look at some instances");
                unread.extend(left);
            }
            for (at, (id, instance)) in read.into_iter().enumerate() {
                // One is seen to each time, so that it comes to an end.
                if at > 0 && Instant::now() >= fresh_until {
                    open.push_back(id);
                    continue;
                }
                match instance {
                    Ok(instance) => {
                        if !self.make_so(look, id, instance).await {
                            self.look_again(id).await;
                        }
                    }
                    Err(error) => {
                        warn!(%shard, instance.id = %id, error = %chain(&error), "could not look at an instance");
                        if !error.nature().is_permanent() {
                            unread.push(id);
                        }
                    }
                }
            }
        }
        unread
    }

    /// Looks at one instance in a request of its own. `false` where it could not be read and may be soon.
    async fn look_alone(self: &Arc<Self>, id: InstanceId) -> bool {
        let Err(error) = self.look_at(id).await else {
            return true;
        };
        warn!(instance.id = %id, error = %chain(&error), "could not look at an instance");
        error.nature().is_permanent()
    }
}
