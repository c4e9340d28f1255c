//! How many messages may go to the shard's queue: caps of the shard and of each instance, which hold for what is due later
//! as they do for what is accepted (`functions/src/messaging/messages/backlog.rs`).
//!
//! An instance that has used up its room keeps its entries in the due index, and holds up no other. The shard's cap lies
//! below that of acceptance by a tenth: what was scheduled never takes the room of what is sent now.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::config::QueueLimits;
use shared::domain::shard::Shard;
use shared::ids::{InstanceId, SubscriptionId};
use shared::queue::QueueError;
use shared::storage::StorageError;
use shared::storage::schedule::Found;
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::clerk::NotNow;
use crate::deps::Deps;
use crate::instance::link::Links;

/// How long a call to the queue may take.
const QUEUE_DEADLINE: Duration = Duration::from_secs(5);

/// How long what the queue said it holds is good.
const FRESH: Duration = Duration::from_secs(1);

/// The same where it held less than a tenth of what it may.
const FRESH_WHILE_EMPTY: Duration = Duration::from_secs(10);

/// The room in one shard's queue.
#[derive(Debug)]
pub struct Rooms<'a> {
    deps: &'a Deps,
    shard: Shard,
    links: &'a Links,
    /// What the queue held, with what was sent since, and when that was asked.
    held: Option<(u64, Instant)>,
    /// How many more messages of each instance may wait. It is read once for each look at the index.
    left: Mutex<HashMap<InstanceId, u64>>,
}

impl<'a> Rooms<'a> {
    /// The room in this shard's queue.
    pub fn new(deps: &'a Deps, shard: Shard, links: &'a Links) -> Self {
        Self {
            deps,
            shard,
            links,
            held: None,
            left: Mutex::default(),
        }
    }

    /// Forgets what is known of instances: the index is looked at anew.
    pub fn forget(&mut self) {
        self.left.lock().expect("no holder panics").clear();
    }

    /// Finds out what room there is for these messages. An error where some need a place in the shard's queue, and it has none.
    pub async fn look(&mut self, page: &[Found], now: DateTime<Utc>) -> Result<(), NotNow> {
        let entries = page.iter().filter_map(|found| found.entry.as_ref().ok());
        let scheduled = entries.filter(|entry| entry.job.is_some());
        let owners: Vec<_> = scheduled
            .filter_map(|entry| Some((entry.subscription?, entry.instance)))
            .collect();
        let coming = page.iter().filter(|found| needs_place(found, now)).count();
        self.look_for(&owners, coming).await
    }

    /// The same for so many messages, some of them of these instances.
    pub async fn look_for(
        &mut self,
        owners: &[(SubscriptionId, InstanceId)],
        coming: usize,
    ) -> Result<(), NotNow> {
        if self.is_full().await && coming > 0 {
            return Err(NotNow::Full);
        }
        self.sent(coming);
        for (subscription, instance) in owners {
            if !self.is_known(*instance) {
                let left = self.left_of(*subscription, *instance).await;
                // Where that cannot be read this instance waits, and no other.
                let left = left.unwrap_or_else(|error| {
                    warn!(instance.id = %instance, error = %chain(&error), "nobody knows how many messages wait");
                    0
                });
                let mut all = self.left.lock().expect("no holder panics");
                all.insert(*instance, left);
            }
        }
        Ok(())
    }

    /// Whether as many messages wait in the shard's queue as may. Where the queue does not say that, whether they did.
    pub async fn is_full(&mut self) -> bool {
        let QueueLimits { shard: limit, .. } = self.deps.queue_limits;
        let most = u64::from(limit - limit / 10);
        self.ask(most).await;
        self.held.is_some_and(|(held, _)| held >= most)
    }

    /// So many messages go to the queue, since it was asked what it holds.
    pub fn sent(&mut self, count: usize) {
        if let Some((held, _)) = &mut self.held {
            *held += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }

    /// Whether an instance has room for a message.
    pub fn has_room(&self, instance: InstanceId) -> bool {
        let all = self.left.lock().expect("no holder panics");
        all.get(&instance).is_some_and(|left| *left > 0)
    }

    /// Takes the room of one message of an instance.
    pub fn take(&self, instance: InstanceId) -> Result<(), NotNow> {
        let mut all = self.left.lock().expect("no holder panics");
        let left = all.get_mut(&instance).filter(|left| **left > 0);
        let left = left.ok_or(NotNow::InstanceFull)?;
        *left -= 1;
        Ok(())
    }

    /// Gives back what a message did not need.
    pub fn give_back(&self, instance: InstanceId) {
        let mut all = self.left.lock().expect("no holder panics");
        if let Some(left) = all.get_mut(&instance) {
            *left += 1;
        }
    }

    fn is_known(&self, instance: InstanceId) -> bool {
        let all = self.left.lock().expect("no holder panics");
        all.contains_key(&instance)
    }

    async fn left_of(&self, subscription: SubscriptionId, instance: InstanceId) -> Result<u64, StorageError> {
        let limits = self.deps.queue_limits;
        let limit = u64::from(if self.links.now(instance).is_some() {
            limits.instance
        } else {
            limits.offline.min(limits.instance)
        });
        let (counters, now) = (&self.deps.counters, self.deps.clock.now());
        let begun = counters.begun_this_month(subscription, instance, now).await?;
        if begun == 0 {
            return Ok(limit);
        }
        let month = counters.this_month(instance, now).await?;
        let counted = begun.saturating_sub(month.ended);
        // A crash may have counted too many. There are never more than the whole shard's queue holds, and what is put off.
        let most = self.held.map_or(u64::MAX, |(held, _)| held + month.put_off);
        Ok(limit.saturating_sub(counted.min(most)))
    }

    /// Asks the queue what it holds, where that is not known. Without an answer the last number stays: the cap is no reason
    /// to keep back what the queue would take.
    async fn ask(&mut self, most: u64) {
        let is_fresh = self.held.is_some_and(|(held, at)| {
            let term = if held * 10 < most {
                FRESH_WHILE_EMPTY
            } else {
                FRESH
            };
            at.elapsed() < term
        });
        if is_fresh {
            return;
        }
        let sends = self.deps.names.sends(self.shard.0);
        match in_time("depth", self.deps.queue.depth(&sends)).await {
            Ok(depth) => {
                let held = depth.visible + depth.in_flight + depth.delayed;
                self.held = Some((held, Instant::now()));
            }
            Err(error) => {
                debug!(shard = %self.shard, error = %chain(&error), "the queue does not say what it holds");
            }
        }
    }
}

/// Whether a message takes a place in the queue. One that expired before it began to wait is only told of, and so is one that
/// was taken back.
pub fn needs_place(found: &Found, now: DateTime<Utc>) -> bool {
    let Ok(entry) = &found.entry else {
        return false;
    };
    let has_expired = entry.subscription.is_some() && entry.expires_at <= now;
    entry.job.is_some() && !has_expired
}

/// A call to the queue, which ends in time.
pub async fn in_time<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    let done = tokio::time::timeout(QUEUE_DEADLINE, call).await;
    done.unwrap_or(Err(QueueError::Timeout { operation }))
}
