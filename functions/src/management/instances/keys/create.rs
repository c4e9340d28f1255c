//! `POST /api/instances/{instance}/keys`: a new API key. Its secret is shown this once.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use shared::auth::api_key::{DEFAULT_RATE_LIMIT, Grant, KeySecret, Scope};
use shared::domain::account::PersonName;
use shared::domain::audit::Action;
use shared::domain::instance::Instance;
use shared::ids::KeyId;
use shared::storage::api_keys::{KeyCreated, MAX_KEYS};
use utoipa::ToSchema;

use super::settings;
use super::view::{KeyView, KeyWithSecret};
use crate::endpoint::Endpoint;
use crate::http::caller::{UserCaller, session_over};
use crate::http::{ApiError, Code, Fields, JsonBody, Path, Record, Reply, Timestamp, Trail, Whole};
use crate::management::ManagementState;
use crate::management::instances::find::{InstanceRef, find};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({
    "name": "Shop",
    "scopes": ["messages:send", "messages:read"],
    "allowedCidrs": ["203.0.113.0/24"],
    "expiresAt": null,
    "rateLimit": 1_000,
}))]
pub struct Request {
    #[schema(value_type = PersonName)]
    name: String,
    #[schema(schema_with = settings::scopes_schema, required = false)]
    scopes: Option<Vec<String>>,
    #[schema(schema_with = settings::allowed_cidrs_schema)]
    allowed_cidrs: Option<Vec<String>>,
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<String>,
    #[schema(schema_with = settings::rate_limit_schema, required = false)]
    rate_limit: Option<Whole>,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/api/instances/{instance}/keys",
        "createKey",
        handler,
    )
    .about(Tag::Keys, "Creates an API key")
    .details("Its secret is in this answer and in no other. An instance has 100 keys at most, expired ones included: a 409 beyond that.")
    .status(StatusCode::CREATED)
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<KeyWithSecret>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let now = state.clock.now();
    let (name, grant) = parse(&request, instance, now)?;
    let secret = KeySecret::generate(grant.network);
    let created = state
        .api_keys
        .create(&grant, &secret, &name, &caller.user, now)
        .await?;
    match created {
        KeyCreated::Created => {}
        KeyCreated::InstanceGone => return Err(ApiError::not_found("instance")),
        KeyCreated::SessionOver => return Err(session_over()),
        KeyCreated::TooMany => {
            let message = format!(
                "The instance has {MAX_KEYS} API keys, expired ones included, and may have no more: revoke one that is not needed"
            );
            return Err(ApiError::new(Code::Conflict, message).with_details(json!({"limit": MAX_KEYS})));
        }
    }
    let record = Record::by(&caller.user, Action::KeyCreated).on(grant.key);
    trail
        .record(&state, record.detail("instance", grant.instance))
        .await;
    Ok(Reply::created(KeyWithSecret {
        view: KeyView::of_new(grant, name, secret.prefix(), now.into()),
        key: secret.reveal().to_owned(),
    }))
}

fn parse(request: &Request, instance: Instance, now: DateTime<Utc>) -> Result<(PersonName, Grant), ApiError> {
    let mut fields = Fields::default();
    let name = fields.parse::<PersonName>("name", &request.name);
    let mut grant = Grant {
        key: KeyId::new(now),
        instance: instance.id,
        subscription: instance.subscription,
        instance_name: instance.name,
        network: instance.network,
        shard: instance.shard,
        scopes: Scope::defaults(),
        allowed_cidrs: Vec::new(),
        expires_at: None,
        rate_limit: DEFAULT_RATE_LIMIT,
        revoked_at: None,
    };
    if let Some(texts) = &request.scopes {
        settings::scopes(&mut fields, &mut grant, texts);
    }
    if let Some(texts) = &request.allowed_cidrs {
        settings::allowed_cidrs(&mut fields, &mut grant, texts);
    }
    if let Some(text) = &request.expires_at {
        settings::expires_at(&mut fields, &mut grant, text, now);
    }
    if let Some(Whole(limit)) = request.rate_limit {
        settings::rate_limit(&mut fields, &mut grant, limit);
    }
    fields.finish()?;
    match name {
        Some(name) => Ok((name, grant)),
        None => Err(fields.error()),
    }
}
