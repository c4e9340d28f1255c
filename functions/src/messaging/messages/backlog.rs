//! The cap on an instance's messages that wait to be sent.
//!
//! The update that counts a message against the quota tells how many the instance has
//! accepted this month; its day counters tell how many of these have ended. The rest waits.
//! A process remembers what has ended and reads it anew only where the cap would else be
//! reached, and then once a second: traffic that flows pays nothing for the cap. Whatever
//! was remembered is never more than what has ended, and no two messages get the same count:
//! so the cap is never passed, however many processes accept at once.
//!
//! - Messages of the month before are not counted. Where many wait at the turn of the month
//!   twice the cap may, for three days at most, after which they have expired.
//! - A message may be counted and not end: a process ended in between, or a queue dropped its
//!   job. Where an instance seems full for a minute the queue itself is asked. It is the whole
//!   shard's, so if it holds fewer than the cap, the difference is taken for lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde_json::json;
use shared::domain::instance::Instance;
use shared::ids::InstanceId;
use tokio::sync::Mutex as AsyncMutex;

use crate::http::{ApiError, Code};
use crate::state::AppState;

/// How long what was looked up is good enough to refuse by.
const FRESH: TimeDelta = TimeDelta::seconds(1);

/// How long an instance seems full before its queue is asked: SQS's numbers may be a minute
/// old.
const DOUBT_AFTER: TimeDelta = TimeDelta::minutes(1);

/// What a refused caller is told to wait, in seconds.
const RETRY_AFTER: u32 = 5;

/// Instances that are remembered; beyond that all are forgotten, and looked up again.
const REMEMBERED: usize = 10_000;

/// What a process remembers of instances that accepted more messages in a month than may
/// wait.
#[derive(Debug)]
pub struct Backlog {
    limit: u64,
    known: Mutex<HashMap<InstanceId, Arc<AsyncMutex<Known>>>>,
}

#[derive(Debug, Default)]
struct Known {
    month: (i32, u32),
    /// Of the month's messages, those that had ended at the last look.
    ended: u64,
    /// Of the month's messages, those that neither wait nor will end.
    lost: u64,
    looked_at: Option<DateTime<Utc>>,
    full: Option<Full>,
}

#[derive(Debug, Clone, Copy)]
struct Full {
    since: DateTime<Utc>,
    waiting: u64,
}

impl Known {
    /// How many of `accepted` messages wait, for all that is known.
    fn waiting(&self, accepted: u64) -> u64 {
        accepted.saturating_sub(self.ended + self.lost)
    }

    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.looked_at.is_some_and(|at| now - at < FRESH)
    }
}

impl Backlog {
    /// Lets so many messages of an instance wait.
    pub fn new(limit: u32) -> Self {
        Self {
            limit: u64::from(limit),
            known: Mutex::default(),
        }
    }

    fn find(&self, instance: InstanceId) -> Option<Arc<AsyncMutex<Known>>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&instance).cloned()
    }

    fn find_or_begin(&self, instance: InstanceId) -> Arc<AsyncMutex<Known>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&instance) {
            known.clear();
        }
        known.entry(instance).or_default().clone()
    }

    fn refusal(&self, waiting: u64) -> ApiError {
        let limit = self.limit;
        let message =
            format!("{waiting} messages of the instance wait to be sent, and {limit} may: try again later");
        ApiError::new(Code::QueueFull, message)
            .with_details(json!({"limit": limit, "waiting": waiting}))
            .retry_after(RETRY_AFTER)
    }
}

/// Refuses a message of an instance that was found full a moment ago, before it is counted.
pub async fn refuse_while_full(
    state: &AppState,
    instance: InstanceId,
    now: DateTime<Utc>,
) -> Result<(), ApiError> {
    let Some(known) = state.backlog.find(instance) else {
        return Ok(());
    };
    let known = known.lock().await;
    match known.full {
        Some(full) if known.is_fresh(now) && known.month == month(now) => {
            Err(state.backlog.refusal(full.waiting))
        }
        _ => Ok(()),
    }
}

/// Lets a message go on that was counted as the instance's `accepted`th of the month, where
/// fewer others wait than may. A refused one is to be given back.
pub async fn admit(
    state: &AppState,
    instance: &Instance,
    accepted: u64,
    now: DateTime<Utc>,
) -> Result<(), ApiError> {
    let limit = state.backlog.limit;
    if accepted <= limit {
        return Ok(());
    }
    let known = state.backlog.find_or_begin(instance.id);
    // Held while the table is asked, so that requests that come together ask once.
    let mut known = known.lock().await;
    if known.month != month(now) {
        *known = Known {
            month: month(now),
            ..Known::default()
        };
    }
    if known.waiting(accepted) > limit && !known.is_fresh(now) {
        look(state, instance, &mut known, accepted, now).await?;
    }
    let waiting = known.waiting(accepted);
    if waiting <= limit {
        known.full = None;
        return Ok(());
    }
    // This one does not wait: it is refused.
    let waiting = waiting - 1;
    let since = known.full.map_or(now, |full| full.since);
    known.full = Some(Full { since, waiting });
    Err(state.backlog.refusal(waiting))
}

async fn look(
    state: &AppState,
    instance: &Instance,
    known: &mut Known,
    accepted: u64,
    now: DateTime<Utc>,
) -> Result<(), ApiError> {
    let ended = state.counters.ended_this_month(instance.id, now).await?;
    known.ended = known.ended.max(ended);
    known.looked_at = Some(now);
    let in_doubt = known.full.is_some_and(|full| now - full.since >= DOUBT_AFTER);
    if in_doubt && known.waiting(accepted) > state.backlog.limit {
        let sends = state.queue_names(instance.network)?.sends(instance.shard.0);
        let depth = state.queue.depth(&sends).await?;
        let held = depth.visible + depth.in_flight + depth.delayed;
        if held < state.backlog.limit {
            known.lost += known.waiting(accepted).saturating_sub(1 + held);
        }
    }
    Ok(())
}

fn month(at: DateTime<Utc>) -> (i32, u32) {
    (at.year(), at.month())
}
