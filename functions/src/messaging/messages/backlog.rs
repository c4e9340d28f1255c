//! The caps on messages that wait to be sent: of an instance, of one that is not connected, and of a shard.
//!
//! The update that counts a message against the quota tells how many the instance has accepted this month; its day
//! counters tell how many of these have ended. The rest waits. A process remembers how many have ended. It reads that
//! anew only where the cap would otherwise be reached, and then once a second, so traffic that flows pays nothing for
//! the cap. The remembered number is never higher than the table's, and no two messages get the same count. So the
//! cap is not passed, however many processes accept at once.
//!
//! - Messages of the month before are not counted. At the turn of the month twice the cap may wait, for three days at
//!   most, after which the old ones have expired.
//! - A message may be counted and not end, because a process ended in between. Its end is not counted a second time where
//!   nobody knows whether it was counted (see [`shared::domain::counting::Counter::errs_upwards`]). So where an instance
//!   seems full, the queue itself is asked. If it holds fewer than the instance's counts say, the difference is in doubt, and counted
//!   as ended if it is still in doubt a minute later: see [`shared::storage::counters::Counters::doubt`]. The doubt
//!   is in the table, since it has to outlive short-lived processes. The queue is the whole shard's. If it holds as
//!   many, the instance's own records that say `queued` are counted, once in five minutes, and those that are missing
//!   are in doubt likewise.

mod shard;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde_json::json;
use shared::domain::instance::{Instance, Status};
use shared::ids::InstanceId;
use shared::recent::Recent;
use shared::storage::StorageError;
use shared::storage::counters::{Basis, Counters};
use shared::storage::messages::Messages;
use tokio::sync::Mutex as AsyncMutex;

use self::shard::Shards;
use crate::http::{ApiError, Code};
use crate::state::Base;

/// How long a number that was looked up is good enough to refuse by.
const FRESH: TimeDelta = TimeDelta::seconds(1);

/// How long a refused caller is told to wait, in seconds.
const RETRY_AFTER: u32 = 5;

/// How long the queue of a full instance may take to say what it holds.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a process asks whether the records of a full instance are to be counted.
const RECORDS_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Instances that a process remembers at least.
const REMEMBERED: usize = 5_000;

/// What a process remembers of instances that accepted more messages in a month than may
/// wait, and of shards.
#[derive(Debug)]
pub struct Backlog {
    base: Base,
    counters: Counters,
    messages: Messages,
    limits: Limits,
    known: Mutex<Recent<InstanceId, Arc<AsyncMutex<Known>>>>,
    /// What is known of the shards' queues.
    pub shards: Shards,
}

/// How many messages may wait.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of an instance.
    pub instance: u32,
    /// Of one that is not connected, whose messages leave the queue only when they expire.
    pub offline: u32,
    /// Of a shard.
    pub shard: u32,
}

impl Limits {
    fn of(self, instance: &Instance) -> u64 {
        let limit = if instance.observed.status == Status::Connected {
            self.instance
        } else {
            self.offline.min(self.instance)
        };
        u64::from(limit)
    }
}

#[derive(Debug, Default)]
struct Known {
    month: (i32, u32),
    /// How many of the month's messages had ended at the last look.
    ended: u64,
    looked_at: Option<DateTime<Utc>>,
    /// When the instance's records were to be counted last.
    records_at: Option<DateTime<Utc>>,
    /// How many waited when a message was last refused.
    full_with: Option<u64>,
}

impl Known {
    /// How many of `accepted` messages wait, as far as known.
    fn waiting(&self, accepted: u64) -> u64 {
        accepted.saturating_sub(self.ended)
    }

    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        let age = self.looked_at.map(|at| now - at);
        age.is_some_and(|age| (TimeDelta::zero()..FRESH).contains(&age))
    }
}

impl Backlog {
    /// Lets so many messages wait.
    pub fn new(base: Base, limits: Limits) -> Self {
        Self {
            counters: Counters::new(base.table.clone()),
            messages: Messages::new(base.table.clone()),
            base,
            limits,
            known: Mutex::new(Recent::new(REMEMBERED)),
            shards: Shards::new(limits.shard),
        }
    }

    fn find(&self, instance: InstanceId) -> Option<Arc<AsyncMutex<Known>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&instance).cloned()
    }

    fn find_or_begin(&self, instance: InstanceId) -> Arc<AsyncMutex<Known>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&instance) {
            return known.clone();
        }
        let new = Arc::<AsyncMutex<Known>>::default();
        known.insert(instance, new.clone());
        new
    }

    /// Refuses a message of an instance that was found full a moment ago, before it is counted.
    pub async fn refuse_while_full(&self, instance: &Instance, now: DateTime<Utc>) -> Result<(), ApiError> {
        let Some(known) = self.find(instance.id) else {
            return Ok(());
        };
        let limit = self.limits.of(instance);
        let known = known.lock().await;
        match known.full_with {
            Some(waiting) if waiting >= limit && known.is_fresh(now) && known.month == month(now) => {
                Err(refusal(waiting, limit))
            }
            _ => Ok(()),
        }
    }

    /// Lets a message go on that was counted as the instance's `accepted`th of the month, if fewer others wait than
    /// may. The caller gives the count of a refused one back.
    pub async fn admit(
        &self,
        instance: &Instance,
        accepted: u64,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let limit = self.limits.of(instance);
        if accepted <= limit {
            return Ok(());
        }
        let known = self.find_or_begin(instance.id);
        // Held while the table is asked, so that requests that come together ask once.
        let mut known = known.lock().await;
        if known.month != month(now) {
            *known = Known {
                month: month(now),
                ..Known::default()
            };
        }
        if known.waiting(accepted) > limit && !known.is_fresh(now) {
            self.look(instance, &mut known, accepted, limit, now).await?;
        }
        let waiting = known.waiting(accepted);
        if waiting <= limit {
            known.full_with = None;
            return Ok(());
        }
        // This one does not wait: it is refused.
        let waiting = waiting - 1;
        known.full_with = Some(waiting);
        Err(refusal(waiting, limit))
    }

    async fn look(
        &self,
        instance: &Instance,
        known: &mut Known,
        accepted: u64,
        limit: u64,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let month = self.counters.this_month(instance.id, now).await?;
        known.ended = known.ended.max(month.ended);
        known.looked_at = Some(now);
        let waiting = known.waiting(accepted);
        if waiting > limit
            && let Some(held) = self.held_by_queue(instance).await
        {
            // The message in hand is counted, and not in the queue yet.
            // What is put off waits elsewhere.
            let missing = (waiting - 1).saturating_sub(held + month.put_off);
            let believed = self
                .counters
                .doubt(instance.id, Basis::Queue, missing, now)
                .await?;
            known.ended += believed;
            if missing == 0 {
                known.ended += self.missing_by_records(instance, known, waiting - 1, now).await?;
            }
        }
        Ok(())
    }

    /// How many are missing by the instance's own records, which are counted every few minutes. The queue holds as
    /// many as wait, but they may be other instances'.
    async fn missing_by_records(
        &self,
        instance: &Instance,
        known: &mut Known,
        waiting: u64,
        now: DateTime<Utc>,
    ) -> Result<u64, StorageError> {
        if known.records_at.is_some_and(|at| now - at < RECORDS_EVERY) {
            return Ok(0);
        }
        known.records_at = Some(now);
        if !self.counters.may_count_records(instance.id, now).await? {
            return Ok(0);
        }
        let counting = self.messages.waiting(instance.id, waiting, now);
        let Ok(counted) = tokio::time::timeout(PATIENCE, counting).await else {
            return Ok(0);
        };
        match counted? {
            Some(found) => {
                let missing = waiting.saturating_sub(found);
                self.counters
                    .doubt(instance.id, Basis::Records, missing, now)
                    .await
            }
            None => Ok(0),
        }
    }

    /// How many messages the instance's shard holds; nothing where the queue does not say.
    async fn held_by_queue(&self, instance: &Instance) -> Option<u64> {
        let names = self.base.queue_names(instance.network).ok()?;
        let sends = names.sends(instance.shard.0);
        let depth = tokio::time::timeout(PATIENCE, self.base.queue.depth(&sends)).await;
        let depth = depth.ok()?.ok()?;
        Some(depth.visible + depth.in_flight + depth.delayed)
    }
}

fn refusal(waiting: u64, limit: u64) -> ApiError {
    let message =
        format!("{waiting} messages of the instance wait to be sent, and {limit} may: try again later");
    ApiError::new(Code::QueueFull, message)
        .with_details(json!({"limit": limit, "waiting": waiting}))
        .retry_after(RETRY_AFTER)
}

fn month(at: DateTime<Utc>) -> (i32, u32) {
    (at.year(), at.month())
}
