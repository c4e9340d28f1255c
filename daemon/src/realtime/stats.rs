//! `message:stats`: an instance's counters of the day, some seconds after something has changed in them, where somebody
//! follows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::feed::FeedEvent;
use shared::ids::{EventId, InstanceId, SubscriptionId};
use shared::storage::StorageError;
use shared::storage::counters::{Counters, Counts};
use shared::telemetry::chain;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::announce::hub::{Hub, Origin, Shown};

/// How often an instance's counters are told at most.
pub const PERIOD: Duration = Duration::from_secs(10);

/// Of how many instances counters are told at a time. The others' come with the next change.
const MOST: usize = 256;

/// How many are read at once.
const AT_ONCE: usize = 8;

/// Tells counters.
#[derive(Debug)]
pub struct Stats {
    hub: Arc<Hub>,
    counters: Counters,
    clock: Arc<dyn Clock>,
    changed: Mutex<HashMap<InstanceId, (SubscriptionId, Value)>>,
}

impl Stats {
    /// Tells the counters of this table to this hub.
    pub fn new(hub: Arc<Hub>, counters: Counters, clock: Arc<dyn Clock>) -> Self {
        Self {
            hub,
            counters,
            clock,
            changed: Mutex::default(),
        }
    }

    /// Notes an event. The daemon in which it arose tells what it changes, and no other.
    pub fn note(&self, shown: &Shown) {
        let counts = matches!(shown.event, FeedEvent::MessageStatus | FeedEvent::MessageReceived);
        let Some(instance) = shown.instance.filter(|_| counts && shown.origin == Origin::Here) else {
            return;
        };
        if !self.hub.is_followed(shown.subscription) {
            return;
        }
        let mut changed = self.changed.lock().expect("no holder panics");
        if changed.len() < MOST {
            changed.insert(instance, (shown.subscription, shown.body["instance"].clone()));
        }
    }

    /// Tells until `stop`.
    pub async fn tell(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let changed = std::mem::take(&mut *self.changed.lock().expect("no holder panics"));
            let now = self.clock.now();
            let telling = futures::stream::iter(changed)
                .map(|(instance, (subscription, named))| async move {
                    let told = self.tell_one(instance, subscription, named, now).await;
                    if let Err(error) = told {
                        warn!(instance.id = %instance, error = %chain(&error), "counters were not told");
                    }
                })
                .buffer_unordered(AT_ONCE)
                .collect::<()>();
            if stop.run_until_cancelled(telling).await.is_none() {
                return;
            }
        }
    }

    async fn tell_one(
        &self,
        instance: InstanceId,
        subscription: SubscriptionId,
        named: Value,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let today = now.date_naive();
        let days = self.counters.list_days(instance, today, today).await?;
        let mut counts = Counts::default();
        for (_, day) in &days {
            counts.add(day);
        }
        let id = EventId::derived(now, &[&instance.to_string(), "message.stats"]);
        let body = json!({
            "id": id,
            "type": "message.stats",
            "timestamp": now,
            "instance": named,
            "data": {
                "date": today,
                "sent": counts.sent,
                "delivered": counts.delivered,
                "read": counts.read,
                "failed": counts.failed,
                "received": counts.received,
            },
        });
        self.hub.show(Shown::new(
            id,
            subscription,
            Some(instance),
            FeedEvent::MessageStats,
            body,
        ));
        Ok(())
    }
}
