//! The cap on a shard's messages that wait to be sent. A FIFO queue looks for free groups only among its first
//! 120,000 messages, so beyond that one tenant's messages would keep the others' from being found.
//!
//! The queue itself tells how many it holds, at no cost to the table. A process asks at most once a second, and more
//! seldom while the queue is nearly empty; in between it adds what it sends itself. The margin between the cap and
//! the 120,000 is for what other processes send in a second, and for what SQS has not counted yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use shared::domain::instance::Instance;
use shared::domain::network::Network;
use shared::domain::shard::Shard;

use super::RETRY_AFTER;
use crate::http::{ApiError, Code};
use crate::state::Base;

/// How long a number that was looked up is good.
const FRESH: TimeDelta = TimeDelta::seconds(1);

/// The same where the queue held less than a tenth of what it may.
const FRESH_WHILE_EMPTY: TimeDelta = TimeDelta::seconds(10);

/// How long a request waits for the answer. Without one it goes on: the cap is no reason to refuse what the queue
/// would take.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a process knows of the shards' queues. There are as many as a deployment has.
#[derive(Debug)]
pub struct Shards {
    limit: u64,
    known: Mutex<HashMap<(Network, Shard), Known>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    asked_at: Option<DateTime<Utc>>,
    /// What the queue held when it last answered.
    held: u64,
    /// What this process has sent since it last asked.
    sent: u64,
}

impl Shards {
    /// Lets so many messages of a shard wait.
    pub fn new(limit: u32) -> Self {
        Self {
            limit: u64::from(limit),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(Network, Shard), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller is to ask the queue. Others that come meanwhile go by the last answer.
    fn is_to_be_asked(&self, at: (Network, Shard), now: DateTime<Utc>) -> bool {
        let mut known = self.known();
        let known = known.entry(at).or_default();
        let term = if (known.held + known.sent) * 10 < self.limit {
            FRESH_WHILE_EMPTY
        } else {
            FRESH
        };
        let is_fresh = |asked_at| (TimeDelta::zero()..term).contains(&(now - asked_at));
        if known.asked_at.is_some_and(is_fresh) {
            return false;
        }
        known.asked_at = Some(now);
        true
    }

    /// Asks a shard's queue how much it holds, if that is not known. If it does not answer, the last number stays.
    pub async fn look(&self, base: &Base, network: Network, shard: Shard, now: DateTime<Utc>) {
        let at = (network, shard);
        let Ok(names) = base.queue_names(network) else {
            return;
        };
        if !self.is_to_be_asked(at, now) {
            return;
        }
        let sends = names.sends(shard.0);
        let depth = tokio::time::timeout(PATIENCE, base.queue.depth(&sends)).await;
        if let Ok(Ok(depth)) = depth {
            let mut known = self.known();
            let known = known.entry(at).or_default();
            known.held = depth.visible + depth.in_flight + depth.delayed;
            known.sent = 0;
        }
    }

    /// Refuses a message where its shard's queue is full.
    pub fn require_room(&self, instance: &Instance) -> Result<(), ApiError> {
        let known = self.known().get(&(instance.network, instance.shard)).copied();
        let known = known.unwrap_or_default();
        let (waiting, limit) = (known.held + known.sent, self.limit);
        if waiting < limit {
            return Ok(());
        }
        let message = "Too many messages wait to be sent in this part of the service: try again later";
        Err(ApiError::new(Code::QueueFull, message)
            .with_details(json!({"limit": limit, "waiting": waiting, "scope": "shard"}))
            .retry_after(RETRY_AFTER))
    }

    /// Counts a message that was sent to its shard's queue.
    pub fn note_sent(&self, instance: &Instance) {
        let mut known = self.known();
        known.entry((instance.network, instance.shard)).or_default().sent += 1;
    }
}
