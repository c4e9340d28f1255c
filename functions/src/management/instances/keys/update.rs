//! `PATCH /api/instances/{instance}/keys/{key}`: other scopes, ranges, time, rate or name. A member that is not
//! there stays as it is; `null` for `allowedCidrs` or `expiresAt` takes it away.

use axum::extract::State;
use axum::http::Method;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use shared::domain::account::PersonName;
use shared::domain::audit::Action;
use shared::storage::api_keys::KeyChanged;
use utoipa::ToSchema;

use super::find::{KeyPath, find};
use super::settings;
use super::view::KeyView;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Changes, Code, Fields, Given, JsonBody, Record, Reply, Timestamp, Trail, Whole};
use crate::management::ManagementState;
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
    #[schema(value_type = PersonName, required = false)]
    name: Option<String>,
    #[schema(schema_with = settings::scopes_schema, required = false)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    #[schema(schema_with = settings::allowed_cidrs_schema)]
    allowed_cidrs: Given<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Given<String>,
    #[schema(schema_with = settings::rate_limit_schema, required = false)]
    rate_limit: Option<Whole>,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::PATCH,
        "/api/instances/{instance}/keys/{key}",
        "updateKey",
        handler,
    )
    .about(Tag::Keys, "Changes what an API key may do")
    .details(
        "A member that is not there stays as it is; `null` for `allowedCidrs` or `expiresAt` takes it away.",
    )
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    axum::extract::Path(path): axum::extract::Path<KeyPath>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<KeyView>, ApiError> {
    let key = find(&state, caller.subscription.id, &path).await?;
    let mut fields = Fields::default();
    let (mut grant, mut name) = (key.grant.clone(), key.name.clone());
    if let Some(text) = &request.name
        && let Some(new) = fields.parse::<PersonName>("name", text)
    {
        name = new;
    }
    if let Some(texts) = &request.scopes {
        settings::scopes(&mut fields, &mut grant, texts);
    }
    match &request.allowed_cidrs {
        Given::Value(texts) => settings::allowed_cidrs(&mut fields, &mut grant, texts),
        Given::Null => grant.allowed_cidrs.clear(),
        Given::Absent => {}
    }
    match &request.expires_at {
        Given::Value(text) => settings::expires_at(&mut fields, &mut grant, text, state.clock.now()),
        Given::Null => grant.expires_at = None,
        Given::Absent => {}
    }
    if let Some(Whole(limit)) = request.rate_limit {
        settings::rate_limit(&mut fields, &mut grant, limit);
    }
    fields.finish()?;
    match state.api_keys.update(&key, &grant, &name).await? {
        KeyChanged::Done => {}
        KeyChanged::Stale => {
            return Err(ApiError::new(
                Code::Conflict,
                "The API key was changed by another request meanwhile",
            ));
        }
    }
    let record = Record::by(&caller.user, Action::KeyUpdated).on(grant.key);
    let before = &key.grant;
    let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
    let changes = Changes::default()
        .value("name", &key.name.as_str(), &name.as_str())
        .list("scopes", &before.scopes, &grant.scopes)
        .list("allowedCidrs", &before.allowed_cidrs, &grant.allowed_cidrs)
        .option("expiresAt", time(before.expires_at), time(grant.expires_at))
        .value("rateLimit", &before.rate_limit, &grant.rate_limit);
    trail.record(&state, record.changes(changes)).await;
    Ok(Reply::ok(key.with(grant, name).into()))
}
