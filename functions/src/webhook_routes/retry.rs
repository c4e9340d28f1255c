//! Puts errands into the queue of events that are tried again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::delivery::{Body, Delivery, Errand, Retry};
use shared::domain::payload;
use shared::domain::webhook::Webhook;
use shared::queue::{MAX_DELAY, OutgoingMessage, QueueError};
use shared::storage::deliveries::whole_milliseconds;

use super::side::{Named, Side};
use crate::http::ApiError;

/// How long a send may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// How many events a second are due of those that are sent again together.
const A_SECOND: usize = 20;

/// Queues up to ten errands, all or an error. After an error some of them may be queued.
pub async fn send<S: Side>(state: &S, instance: Named, errands: &[Errand]) -> Result<(), ApiError> {
    let base = state.base();
    let queue = base.queue_names(instance.network)?.events_retry();
    let now = base.clock.now();
    let messages = errands.iter().map(|errand| {
        let message = OutgoingMessage::standard(payload::encode(errand));
        message.delayed(errand.wait(now).min(MAX_DELAY))
    });
    let sending = base.queue.send_batch(&queue, messages.collect());
    let sent = tokio::time::timeout(DEADLINE, sending).await;
    let sent = sent.map_err(|_| QueueError::Timeout { operation: "send" })?;
    for outcome in sent {
        outcome?;
    }
    Ok(())
}

/// The errand to send the event of a delivery once more, in a row of attempts of its own. `before` others are sent before it: they
/// are due one after the other, so that they come about in that order, and not all at once.
pub fn again(webhook: &Webhook, delivery: &Delivery, now: DateTime<Utc>, before: usize) -> Errand {
    let seconds = i64::try_from(before / A_SECOND).unwrap_or_default();
    Errand::Retry(Retry {
        id: delivery.event(),
        instance: webhook.instance,
        subscription: webhook.subscription,
        webhook: webhook.created_at,
        attempt: 0,
        asked_at: Some(whole_milliseconds(now)),
        due_at: now + TimeDelta::seconds(seconds),
        body: Body::Kept,
    })
}
