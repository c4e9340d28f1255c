//! `system:health`: how the daemon is, whenever that changes, while somebody follows.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use shared::domain::feed::FeedEvent;
use shared::domain::times;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;

/// How often it is looked whether the daemon's health has changed.
const PERIOD: Duration = Duration::from_secs(15);

/// How a daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Whether it can do its work.
    pub is_ready: bool,
    /// Whether each thing that it needs is there.
    pub checks: Value,
}

/// Finds out how the daemon is.
pub trait Probe: Sync {
    /// How it is now.
    fn condition(&self) -> BoxFuture<'_, Condition>;
}

/// Tells sockets how the daemon is, until `stop`.
pub async fn tell(feed: &Feed, daemon: &dyn Probe, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if feed.followers.count() == 0 {
            last = None;
            *feed.health.lock().expect("no holder panics") = None;
            continue;
        }
        let Some(condition) = stop.run_until_cancelled(daemon.condition()).await else {
            return;
        };
        if last.as_ref() == Some(&condition) {
            continue;
        }
        let told = json!({
            "status": if condition.is_ready { "ok" } else { "degraded" },
            "checks": condition.checks,
            "timestamp": times::text(feed.clock.now()),
        });
        last = Some(condition);
        *feed.health.lock().expect("no holder panics") = Some(told.clone());
        for follower in feed.followers.all() {
            if follower.caller().may_hear(FeedEvent::SystemHealth) {
                follower.remark(FeedEvent::SystemHealth.as_str(), &told);
            }
        }
    }
}
