//! `message:stats`: an instance's counters of the day, some seconds after something has changed in them, where somebody
//! follows.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::event::Told;
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

/// Of how many instances counters are told at a time. The others wait for the next time, those that changed first before
/// the rest.
const MOST: usize = 256;

/// How long telling the last counters may take when the daemon stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How many are read at once.
const AT_ONCE: usize = 8;

/// Tells counters.
#[derive(Debug)]
pub struct Stats {
    hub: Arc<Hub>,
    counters: Counters,
    clock: Arc<dyn Clock>,
    changed: Mutex<Changed>,
}

/// Instances whose counters have changed since they were told. There are no more of them than this daemon serves.
#[derive(Debug, Default)]
struct Changed {
    /// In the order in which they changed first.
    order: VecDeque<InstanceId>,
    all: HashMap<InstanceId, Whose>,
}

/// Whose counters they are.
#[derive(Debug)]
struct Whose {
    subscription: SubscriptionId,
    /// The instance as events name it.
    named: Value,
}

impl Changed {
    fn note(&mut self, instance: InstanceId, whose: Whose) {
        if self.all.insert(instance, whose).is_none() {
            self.order.push_back(instance);
        }
    }

    fn next(&mut self) -> Option<(InstanceId, Whose)> {
        let instance = self.order.pop_front()?;
        let whose = self.all.remove(&instance)?;
        Some((instance, whose))
    }
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
        let whose = Whose {
            subscription: shown.subscription,
            named: shown.body["instance"].clone(),
        };
        self.changed().note(instance, whose);
    }

    /// Tells until `stop`, and then what has changed last: where the daemon hands over, whoever follows at another one hears
    /// of it from nobody else.
    pub async fn tell(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.tell_some(|| !stop.is_cancelled()).await;
        }
        let last = tokio::time::timeout(LAST_WORDS, self.tell_some(|| true));
        if last.await.is_err() {
            warn!("the last counters were not told in time");
        }
    }

    /// Tells of those that wait, as many as are told at a time, while it may go on.
    async fn tell_some(&self, goes_on: impl Fn() -> bool) {
        let count = self.changed().order.len().min(MOST);
        let next = std::iter::from_fn(|| goes_on().then(|| self.changed().next()).flatten());
        futures::stream::iter(next.take(count))
            .for_each_concurrent(AT_ONCE, |(instance, whose)| async move {
                let Err(error) = self.tell_one(instance, &whose).await else {
                    return;
                };
                warn!(instance.id = %instance, error = %chain(&error), "counters were not told");
                if !error.nature().is_permanent() {
                    self.changed().note(instance, whose);
                }
            })
            .await;
    }

    async fn tell_one(&self, instance: InstanceId, whose: &Whose) -> Result<(), StorageError> {
        let now = self.clock.now();
        let today = now.date_naive();
        let days = self.counters.list_days(instance, today, today).await?;
        let mut counts = Counts::default();
        for (_, day) in &days {
            counts.add(day);
        }
        let told = Told {
            id: EventId::derived(now, &[&instance.to_string(), "message.stats"]),
            kind: "message.stats",
            timestamp: now,
            instance: &whose.named,
            data: json!({
                "date": today,
                "sent": counts.sent,
                "delivered": counts.delivered,
                "read": counts.read,
                "failed": counts.failed,
                "received": counts.received,
            }),
        };
        let event = FeedEvent::MessageStats;
        self.hub
            .show(Shown::told(whose.subscription, Some(instance), event, &told));
        Ok(())
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().expect("no holder panics")
    }
}
