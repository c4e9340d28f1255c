//! `POST …/webhook/test`: an event that nothing has made happen, on the way of all events.
//!
//! Without a type it is `webhook.test`, for the webhook, which has to be there. With one it is an event as it could be; it goes
//! wherever such an event would go, so a program that follows the realtime feed is tried without a webhook.
//!
//! The event is all that is asked for. So a way that it cannot go is an error of the request, also that to the feed.

use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::audit::Action;
use shared::domain::event::{self, Data, Event, EventType};
use shared::domain::news::News;
use shared::domain::payload;
use shared::domain::webhook::Webhook;
use shared::ids::{DeliveryId, EventId, MessageId, QuestionId};
use shared::queue::{OutgoingMessage, QueueError};
use shared::sealed;
use shared::trace;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::about::Posted;
use super::again::{Again, once};
use super::change::{find, record, require_enabled};
use super::side::{Asker, Side};
use crate::endpoint::Endpoint;
use crate::http::caller::permission::WebhookWrite;
use crate::http::{ApiError, Code, Fields, OptionalJsonBody, Replayable, Reply};
use crate::news;
use crate::openapi::Tag;

/// How long each of the two queues may take.
const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookTestRequest)]
pub struct Request {
    #[serde(rename = "type")]
    #[schema(schema_with = type_schema, required = false)]
    kind: Option<String>,
}

impl Request {
    /// The type that is wanted, if one is.
    fn wanted(&self) -> Result<Option<EventType>, ApiError> {
        let mut fields = Fields::default();
        let kind = self.kind.as_deref();
        let wanted = kind.and_then(|text| fields.parse::<EventType>("type", text));
        fields.finish()?;
        Ok(wanted)
    }
}

/// An event that is on its way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookTestSent)]
pub struct Response {
    event_id: EventId,
    /// Under which the log of deliveries tells what came of it, once it was tried; `null` where no webhook takes it.
    delivery_id: Option<DeliveryId>,
}

/// What follows from the claim of the request's idempotency key: a request that comes again sends the same event.
#[derive(Debug, Clone, Copy)]
struct Tried {
    event: EventId,
    /// The message that it is about, if it is about one.
    message: MessageId,
    /// To the millisecond.
    at: DateTime<Utc>,
}

impl Tried {
    fn under(claim: QuestionId) -> Self {
        let (at, text) = (claim.created_at(), claim.to_string());
        Self {
            event: EventId::derived(at, &["tried", &text]),
            message: MessageId::derived(at, &["tried", &text]),
            at,
        }
    }
}

fn type_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(EventType::ALL.iter().map(|kind| kind.as_str())))
        .description(Some(
            "What happens, as far as the event says. Its data are made up. Such an event goes to the webhook if that is switched on \
             and wants the type, and to the realtime feed",
        ))
        .examples([EventType::MessageReceived.as_str()])
        .build()
}

pub fn endpoint<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::POST, path, id, handler::<S>)
        .about(Tag::Webhooks, "Sends a test event")
        .details(
            "Without a `type` an event of the type `webhook.test` goes to the webhook the way of all others, whatever types the \
             webhook names; a webhook that is switched off is a 409. With a `type` an event of that type goes wherever such an event \
             would go: to the webhook if that is switched on and wants it, and to the realtime feed. Its data are made up. What came \
             of a delivery is in the log of deliveries. A 503 says that the event may be on one of its ways, on both or on none. A request that \
             comes again sends an event of its own; under the same `Idempotency-Key`, which a program's request may have, it sends the \
             same one.",
        )
        .status(StatusCode::ACCEPTED)
        .errors(&[Code::NotFound, Code::Conflict])
}

pub async fn handler<S: Side>(
    State(state): State<S>,
    asker: Posted<WebhookWrite>,
    OptionalJsonBody(request): OptionalJsonBody<Request>,
) -> Result<Replayable<Again<Response>>, ApiError> {
    let (key, wanted) = (asker.key.as_deref(), request.wanted()?);
    let sending = |claim| send(&state, &asker, wanted, claim);
    Box::pin(once(
        &state,
        &asker,
        key,
        ("test", &wanted),
        Reply::accepted,
        sending,
    ))
    .await
}

/// Sends the event. `claim` is that of the request's idempotency key.
async fn send<S: Side>(
    state: &S,
    asker: &Asker,
    wanted: Option<EventType>,
    claim: Option<QuestionId>,
) -> Result<Response, ApiError> {
    let (base, instance) = (state.base(), asker.instance);
    let is_for_webhook = match wanted {
        None => require_enabled(state, asker).await.map(|_| true)?,
        Some(kind) => find(state, asker)
            .await?
            .is_some_and(|webhook| takes(&webhook, kind)),
    };
    let tried = Tried::under(claim.unwrap_or_else(|| QuestionId::new(base.clock.now())));
    if is_for_webhook {
        let kind = wanted.unwrap_or(EventType::WebhookTest);
        Box::pin(enqueue(state, asker, tried, kind)).await?;
    }
    // What is queued already and is queued again is known by its id, in the feed as at the webhook.
    if let Some(kind) = wanted {
        let of = (instance.id, instance.subscription);
        let told = News::tried(tried.event, of, kind, tried.message, tried.at);
        news::try_tell(base, instance.network, instance.shard, told, DEADLINE).await?;
    }
    let record = record(asker, Action::WebhookTested);
    asker.trail.record(base, record).await;
    Ok(Response {
        event_id: tried.event,
        delivery_id: is_for_webhook.then(|| DeliveryId::of(tried.event)),
    })
}

/// Whether a webhook gets an event of this type. One that is tried as such gets it whatever it wants.
fn takes(webhook: &Webhook, kind: EventType) -> bool {
    match kind {
        EventType::WebhookTest => webhook.enabled,
        kind => webhook.wanted().wants(kind),
    }
}

/// Puts the event into the queue of all events.
async fn enqueue<S: Side>(state: &S, asker: &Asker, tried: Tried, kind: EventType) -> Result<(), ApiError> {
    let (base, instance) = (state.base(), asker.instance);
    let data = Data::sample(kind, tried.message, tried.at);
    let queue = base.queue_names(instance.network)?.events();
    let mut span = trace::queues::sending(&queue);
    span.show("waxwing.event.id", &tried.event);
    let event = Event {
        id: tried.event,
        kind: data.kind(),
        timestamp: tried.at,
        instance: instance.id,
        subscription: instance.subscription,
        needs: data.needs(),
        trace: span.context(),
        data: sealed::seal(&state.hooks().sealer, instance.id, &tried.event, &data).await?,
    };
    let group = event::message_group_of_tests(instance.id);
    let message = OutgoingMessage::fifo(payload::encode(&event), group, tried.event.to_string());
    let sent = tokio::time::timeout(DEADLINE, base.queue.send(&queue, message)).await;
    let sent = sent.unwrap_or(Err(QueueError::Timeout { operation: "send" }));
    if sent.is_err() {
        span.fail("not_queued");
    }
    sent?;
    Ok(())
}
