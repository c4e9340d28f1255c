//! `POST /api/instances/{instance}/keys/{key}/rotate`: another secret for the same key. The old one is good for
//! `graceSeconds` more. Of the secrets before it, the oldest one that is still good stays so until its own end.
//! Without a grace all earlier secrets end.

use axum::extract::State;
use axum::http::Method;
use chrono::TimeDelta;
use serde::Deserialize;
use shared::auth::api_key::KeySecret;
use shared::domain::audit::Action;
use shared::storage::api_keys::KeyChanged;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::find::{KeyPath, find};
use super::view::{KeyView, KeyWithSecret};
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Fields, OptionalJsonBody, Record, Reply, Trail, Whole};
use crate::management::ManagementState;
use crate::openapi::Tag;

/// The longest grace: a week.
const MAX_GRACE: u32 = 7 * 24 * 3_600;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    #[serde(default)]
    #[schema(schema_with = grace_schema)]
    grace_seconds: Whole,
}

fn grace_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(MAX_GRACE))
        .default(Some(0.into()))
        .description(Some("For how many seconds the old secret is good yet"))
        .examples([3_600])
        .build()
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::POST, "/api/instances/{instance}/keys/{key}/rotate", "rotateKey", handler)
        .about(Tag::Keys, "Gives an API key another secret")
        .details("The new secret is in this answer and in no other. The old one is good for `graceSeconds` more, and of those before it the oldest whose grace still runs stays good until its end: so a rotation may be asked for again whose answer was lost. Without `graceSeconds` every older secret ends at once.")
        .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    axum::extract::Path(path): axum::extract::Path<KeyPath>,
    OptionalJsonBody(request): OptionalJsonBody<Request>,
) -> Result<Reply<KeyWithSecret>, ApiError> {
    let mut fields = Fields::default();
    let Whole(grace) = request.grace_seconds;
    if grace > MAX_GRACE {
        fields.fault(
            "graceSeconds",
            format!("must be a whole number from 0 to {MAX_GRACE}"),
        );
    }
    fields.finish()?;
    let key = find(&state, caller.subscription.id, &path).await?;
    let now = state.clock.now();
    let secret = KeySecret::generate(key.grant.network);
    let old_until = (grace > 0).then(|| now + TimeDelta::seconds(i64::from(grace)));
    let rotated = state
        .api_keys
        .rotate(&key, &secret, old_until, &caller.user, now)
        .await?;
    match rotated {
        KeyChanged::Done => {}
        KeyChanged::Stale => {
            return Err(ApiError::new(
                Code::Conflict,
                "The API key was changed by another request meanwhile",
            ));
        }
    }
    let record = Record::by(&caller.user, Action::KeyRotated).on(key.grant.key);
    trail.record(&state, record.detail("graceSeconds", grace)).await;
    Ok(Reply::ok(KeyWithSecret {
        view: KeyView::from(key).rotated(secret.prefix(), now.into()),
        key: secret.reveal().to_owned(),
    }))
}
