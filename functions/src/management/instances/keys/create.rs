//! `POST /api/instances/{instance}/keys`: a new API key. Its secret is shown this once.

use std::collections::BTreeSet;

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::auth::api_key::{DEFAULT_RATE_LIMIT, Grant, KeySecret, Scope};
use shared::auth::cidr::Cidr;
use shared::domain::account::PersonName;
use shared::domain::instance::Instance;
use shared::ids::KeyId;
use shared::storage::api_keys::KeyCreated;

use crate::http::caller::UserCaller;
use crate::http::{ApiError, Fields, JsonBody, Path, Reply, Timestamp};
use crate::management::instances::find::{InstanceRef, find};
use crate::state::AppState;

/// Most ranges of addresses that a key is bound to.
const MAX_CIDRS: usize = 50;

/// The highest number of requests an hour.
const MAX_RATE_LIMIT: u32 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    name: String,
    scopes: Option<Vec<String>>,
    allowed_cidrs: Option<Vec<String>>,
    expires_at: Option<String>,
    rate_limit: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    id: KeyId,
    name: PersonName,
    prefix: String,
    scopes: BTreeSet<Scope>,
    allowed_cidrs: Vec<String>,
    expires_at: Option<Timestamp>,
    rate_limit: u32,
    created_at: Timestamp,
    /// The secret itself.
    key: String,
}

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let now = state.clock.now();
    let (name, grant) = parse(request, instance, now)?;
    let secret = KeySecret::generate(grant.network);
    match state.api_keys.create(&grant, &secret, &name, now).await? {
        KeyCreated::Created => {}
        KeyCreated::InstanceGone => return Err(ApiError::not_found("instance")),
    }
    Ok(Reply::created(Response {
        id: grant.key,
        name,
        prefix: secret.prefix().to_owned(),
        scopes: grant.scopes,
        allowed_cidrs: grant.allowed_cidrs.iter().map(ToString::to_string).collect(),
        expires_at: grant.expires_at.map(Timestamp::from),
        rate_limit: grant.rate_limit,
        created_at: now.into(),
        key: secret.reveal().to_owned(),
    }))
}

fn parse(request: Request, instance: Instance, now: DateTime<Utc>) -> Result<(PersonName, Grant), ApiError> {
    let mut fields = Fields::default();
    let name = fields.parse::<PersonName>("name", &request.name);
    let scopes = match &request.scopes {
        None => Scope::defaults(),
        Some(texts) => {
            if texts.is_empty() {
                fields.fault("scopes", "must name one scope or more");
            }
            let texts = texts.iter().enumerate();
            texts
                .filter_map(|(index, text)| fields.parse(format!("scopes[{index}]"), text))
                .collect()
        }
    };
    let cidrs = request.allowed_cidrs.unwrap_or_default();
    if cidrs.len() > MAX_CIDRS {
        fields.fault("allowedCidrs", format!("must have {MAX_CIDRS} ranges or fewer"));
    }
    let texts = cidrs.iter().enumerate();
    let allowed_cidrs = texts
        .filter_map(|(index, text)| fields.parse::<Cidr>(format!("allowedCidrs[{index}]"), text))
        .collect();
    let expires_at = request.expires_at.as_deref().and_then(|text| {
        let at = text.parse::<DateTime<Utc>>().ok().filter(|at| *at > now);
        if at.is_none() {
            fields.fault("expiresAt", "must be an RFC 3339 time in the future");
        }
        at
    });
    let rate_limit = request.rate_limit.unwrap_or(DEFAULT_RATE_LIMIT);
    if !(1..=MAX_RATE_LIMIT).contains(&rate_limit) {
        fields.fault(
            "rateLimit",
            format!("must be a number from 1 to {MAX_RATE_LIMIT}"),
        );
    }
    fields.finish()?;
    let Some(name) = name else {
        return Err(fields.error());
    };
    let grant = Grant {
        key: KeyId::new(now),
        instance: instance.id,
        subscription: instance.subscription,
        instance_name: instance.name,
        network: instance.network,
        shard: instance.shard,
        scopes,
        allowed_cidrs,
        expires_at,
        rate_limit,
        revoked_at: None,
    };
    Ok((name, grant))
}
