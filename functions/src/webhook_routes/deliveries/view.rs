//! A delivery as callers see it.

use serde::Serialize;
use shared::domain::delivery::{Attempt, AttemptFault, Delivery, DeliveryState};
use shared::domain::event::EventType;
use shared::ids::{DeliveryId, EventId, MessageId};
use utoipa::ToSchema;

use crate::http::Timestamp;

/// What became of an event on its way to the webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookDelivery)]
pub struct DeliveryView {
    id: DeliveryId,
    event_id: EventId,
    #[serde(rename = "type")]
    #[schema(value_type = EventType)]
    kind: String,
    /// The message that the event is about; `null` where it is about none.
    message_id: Option<MessageId>,
    state: DeliveryState,
    /// When it was tried first.
    created_at: Timestamp,
    /// When it is tried again.
    next_attempt_at: Option<Timestamp>,
    /// Until when it can be sent again; `null` where its body is not kept.
    replayable_until: Option<Timestamp>,
    /// The first attempt first: 32 at most.
    attempts: Vec<AttemptView>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookAttempt)]
pub struct AttemptView {
    at: Timestamp,
    /// The status of the endpoint's answer; `null` where there was none.
    #[schema(example = 503)]
    status: Option<u16>,
    /// In milliseconds.
    #[schema(example = 132)]
    took_ms: u32,
    /// Why it failed; `null` where the endpoint has taken the event.
    error: Option<AttemptFault>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let progress = delivery.progress;
        Self {
            id: delivery.id,
            event_id: delivery.event(),
            message_id: delivery.message,
            state: progress.state,
            created_at: delivery.created_at.into(),
            next_attempt_at: progress.next_attempt_at.map(Timestamp::from),
            replayable_until: progress.body_until.map(Timestamp::from),
            attempts: delivery.attempts.into_iter().map(AttemptView::from).collect(),
            kind: delivery.kind,
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: attempt.at.into(),
            status: attempt.status,
            took_ms: attempt.took_ms,
            error: attempt.fault,
        }
    }
}
