//! `POST …/webhook/deliveries/{delivery}/replay`: an event once more.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use serde::Serialize;
use shared::domain::audit::Action;
use shared::ids::{DeliveryId, EventId};
use utoipa::ToSchema;

use crate::endpoint::{Argument, Endpoint};
use crate::http::caller::permission::WebhookWrite;
use crate::http::{ApiError, Code, Replayable, Reply};
use crate::openapi::{Operation, Tag};
use crate::webhook_routes::about::Posted;
use crate::webhook_routes::again::{Again, once};
use crate::webhook_routes::change::{record, require_enabled};
use crate::webhook_routes::retry::{again, send};
use crate::webhook_routes::side::{Asker, Side, parameter};

/// An event that is sent again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookDeliveryReplayed)]
pub struct Response {
    id: DeliveryId,
    event_id: EventId,
}

/// `{delivery}` in a path.
#[derive(Debug)]
pub struct Which(DeliveryId);

impl<S: Send + Sync> FromRequestParts<S> for Which {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = parameter(parts, state, "delivery").await;
        id.map(Self).ok_or_else(|| ApiError::not_found("delivery"))
    }
}

impl<S> Argument<S> for Which {
    fn describe(operation: &mut Operation) {
        operation.path_parameter::<DeliveryId>();
        operation.codes.insert(Code::NotFound);
    }
}

pub fn endpoint<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::POST, path, id, handler::<S>)
        .about(Tag::Webhooks, "Sends the event of a delivery once more")
        .details(
            "At once, under the id that it had; where that fails, the row of attempts begins anew. `CONTENT_NOT_KEPT` where its \
             body is not kept: it was delivered, or its 14 days are over.",
        )
        .status(StatusCode::ACCEPTED)
        .errors(&[Code::NotFound, Code::Conflict, Code::ContentNotKept])
}

pub async fn handler<S: Side>(
    State(state): State<S>,
    asker: Posted<WebhookWrite>,
    Which(id): Which,
) -> Result<Replayable<Again<Response>>, ApiError> {
    let key = asker.key.as_deref();
    let replaying = replay(&state, &asker, id);
    Box::pin(once(
        &state,
        &asker,
        key,
        ("replay one", &id),
        Reply::accepted,
        |_| replaying,
    ))
    .await
}

async fn replay<S: Side>(state: &S, asker: &Asker, id: DeliveryId) -> Result<Response, ApiError> {
    let webhook = require_enabled(state, asker).await?;
    let now = state.base().clock.now();
    let found = state.hooks().deliveries.find(asker.instance.id, id, now).await?;
    let found = found.filter(|delivery| webhook.has_sent(delivery));
    let delivery = found.ok_or_else(|| ApiError::not_found("delivery"))?;
    if !delivery.can_be_replayed(now) {
        return Err(ApiError::new(
            Code::ContentNotKept,
            "The event's body is not kept: it was delivered, or its 14 days are over",
        ));
    }
    send(state, asker.instance, &[again(&webhook, &delivery, now, 0)]).await?;
    let record = record(asker, Action::WebhookReplayed).detail("delivery", id);
    asker.trail.record(state.base(), record).await;
    Ok(Response {
        id,
        event_id: id.event(),
    })
}
