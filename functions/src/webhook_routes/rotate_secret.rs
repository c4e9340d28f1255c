//! `POST …/webhook/rotate-secret`: another secret. For `graceSeconds` events are signed with both, so that the endpoint can
//! change over without missing one.

use axum::extract::State;
use axum::http::Method;
use chrono::TimeDelta;
use serde::Deserialize;
use shared::domain::audit::Action;
use shared::domain::webhook::Webhook;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::about::Posted;
use super::again::{Again, once};
use super::change::{ATTEMPTS, contended, is_done, record, require};
use super::seal::seal;
use super::side::{Asker, Side};
use super::view::{WebhookView, WithSecret};
use crate::endpoint::Endpoint;
use crate::http::caller::permission::WebhookWrite;
use crate::http::{ApiError, Code, Fields, OptionalJsonBody, Replayable, Reply, Whole};
use crate::openapi::Tag;

/// For how long the old secret signs beside the new one where the caller names no time: a day.
const GRACE: u32 = 24 * 3_600;

/// The longest time: a week.
const MAX_GRACE: u32 = 7 * 24 * 3_600;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = WebhookSecretRotation)]
pub struct Request {
    #[schema(schema_with = grace_schema, required = false)]
    grace_seconds: Option<Whole>,
}

fn grace_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(MAX_GRACE))
        .default(Some(GRACE.into()))
        .description(Some(
            "For how many seconds events are signed with the old secret too",
        ))
        .examples([GRACE])
        .build()
}

pub fn endpoint<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::POST, path, id, handler::<S>)
        .about(Tag::Webhooks, "Gives the webhook another secret")
        .details(
            "The new secret is in this answer and in no other. Until the grace is over events carry two signatures, and either \
             verifies. Of secrets before the last one, the oldest whose grace still runs signs until its end: so a rotation may be \
             asked for again whose answer was lost. With `graceSeconds` 0 every older secret ends at once.",
        )
        .errors(&[Code::NotFound, Code::Conflict])
}

pub async fn handler<S: Side>(
    State(state): State<S>,
    asker: Posted<WebhookWrite>,
    OptionalJsonBody(request): OptionalJsonBody<Request>,
) -> Result<Replayable<Again<WithSecret>>, ApiError> {
    let Whole(grace) = request.grace_seconds.unwrap_or(Whole(GRACE));
    if grace > MAX_GRACE {
        let mut fields = Fields::default();
        fields.fault(
            "graceSeconds",
            format!("must be a whole number from 0 to {MAX_GRACE}"),
        );
        return Err(fields.error());
    }
    let key = asker.key.as_deref();
    let rotating = rotate(&state, &asker, grace);
    Box::pin(once(
        &state,
        &asker,
        key,
        ("rotate-secret", &grace),
        Reply::ok,
        |_| rotating,
    ))
    .await
}

async fn rotate<S: Side>(state: &S, asker: &Asker, grace: u32) -> Result<WithSecret, ApiError> {
    for _ in 0..ATTEMPTS {
        let before = require(state, asker).await?;
        let now = state.base().clock.now();
        let old_until = (grace > 0).then(|| now + TimeDelta::seconds(i64::from(grace)));
        let confidential = shared::storage::webhooks::open(&state.hooks().sealer, &before).await?;
        let confidential = confidential.rotated(old_until, now);
        let webhook = Webhook {
            earlier_until: confidential.earlier_until(now),
            rotated_at: Some(now),
            set_by: asker.actor,
            updated_at: now,
            version: before.version + 1,
            sealed: seal(state, asker.instance, &confidential).await?,
            ..before.clone()
        };
        let rotated = state
            .hooks()
            .webhooks
            .rotate(&webhook, &before, asker.user.as_ref());
        if !is_done(rotated.await?)? {
            continue;
        }
        let record = record(asker, Action::WebhookSecretRotated).detail("graceSeconds", grace);
        asker.trail.record(state.base(), record).await;
        return Ok(WebhookView::new(webhook, now).with(Some(&confidential.secret)));
    }
    Err(contended())
}
