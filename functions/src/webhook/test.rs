//! `POST …/webhook/test`: an event that tells nothing, on the way of all events.

use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Serialize;
use shared::domain::audit::Action;
use shared::domain::event::{self, Data, Event, WebhookTest};
use shared::domain::payload;
use shared::ids::{DeliveryId, EventId};
use shared::queue::{OutgoingMessage, QueueError};
use shared::sealed;
use utoipa::ToSchema;

use super::about::Posted;
use super::again::{Again, once};
use super::change::{record, require_enabled};
use super::side::{Asker, Side};
use crate::endpoint::Endpoint;
use crate::http::caller::permission::WebhookWrite;
use crate::http::{ApiError, Code, Replayable, Reply};
use crate::openapi::Tag;

/// How long the queue may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// An event that is on its way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookTestSent)]
pub struct Response {
    event_id: EventId,
    /// Under which the log of deliveries tells what came of it, once it was tried.
    delivery_id: DeliveryId,
}

pub fn endpoint<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::POST, path, id, handler::<S>)
        .about(Tag::Webhooks, "Sends a test event to the webhook")
        .details(
            "An event of the type `webhook.test` goes the way of all others, whatever types the webhook names. What came of it \
             is in the log of deliveries. A webhook that is switched off is a 409.",
        )
        .status(StatusCode::ACCEPTED)
        .errors(&[Code::NotFound, Code::Conflict])
}

pub async fn handler<S: Side>(
    State(state): State<S>,
    asker: Posted<WebhookWrite>,
) -> Result<Replayable<Again<Response>>, ApiError> {
    let key = asker.key.as_deref();
    let sending = send(&state, &asker);
    Box::pin(once(&state, &asker, key, ("test", &()), Reply::accepted, |_| {
        sending
    }))
    .await
}

async fn send<S: Side>(state: &S, asker: &Asker) -> Result<Response, ApiError> {
    require_enabled(state, asker).await?;
    let (base, instance) = (state.base(), asker.instance);
    let now = base.clock.now();
    let (id, data) = (
        EventId::new(now),
        Data::WebhookTest(Box::<WebhookTest>::default()),
    );
    let event = Event {
        id,
        kind: data.kind(),
        timestamp: now,
        instance: instance.id,
        subscription: instance.subscription,
        needs: data.needs(),
        data: sealed::seal(&state.hooks().sealer, instance.id, &id, &data).await?,
    };
    let queue = base.queue_names(instance.network)?.events();
    let group = event::group_of_tests(instance.id);
    let message = OutgoingMessage::fifo(payload::encode(&event), group, id.to_string());
    let sent = tokio::time::timeout(DEADLINE, base.queue.send(&queue, message)).await;
    sent.unwrap_or(Err(QueueError::Timeout { operation: "send" }))?;
    let record = record(asker, Action::WebhookTested);
    asker.trail.record(base, record).await;
    Ok(Response {
        event_id: id,
        delivery_id: DeliveryId::of(id),
    })
}
