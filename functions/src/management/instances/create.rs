//! `POST /api/instances`: a new instance, where the tier has room for one.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use shared::domain::audit::Action;
use shared::domain::instance::{Instance, InstanceName};
use shared::domain::network::Network;
use shared::domain::news::News;
use shared::domain::shard::Shard;
use shared::ids::InstanceId;
use shared::storage::instances::Created;
use utoipa::ToSchema;

use super::{InstanceView, content_days, metadata, pace};
use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::caller::{UserCaller, inactive, require_verified};
use crate::http::{ApiError, Code, Fields, JsonBody, Record, Reply, RequestContext, Trail, Whole};
use crate::management::ManagementState;
use crate::news;
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    #[schema(value_type = InstanceName)]
    name: String,
    #[schema(value_type = Network, required = false)]
    network: Option<String>,
    #[serde(default)]
    #[schema(schema_with = metadata::schema)]
    metadata: Option<BTreeMap<String, String>>,
    #[schema(schema_with = pace::schema)]
    messages_per_minute: Option<Whole>,
    #[schema(schema_with = content_days::schema)]
    content_days: Option<Whole>,
    /// Whether the realtime feed says what messages say. It does not where nothing is said
    #[schema(value_type = bool, required = false, example = false)]
    content_in_realtime: Option<bool>,
    #[schema(ignore)]
    always_online: Option<IgnoredAny>,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::POST, "/api/instances", "createInstance", handler)
        .about(
            Tag::Instances,
            "Creates an instance, where the tier has room for one",
        )
        .status(StatusCode::CREATED)
        .errors(&[Code::NameTaken, Code::InstanceLimitReached])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<InstanceView>, ApiError> {
    let instance = instance(&state, &caller, request)?;
    if instance.network == Network::Live {
        require_verified(&state, &caller.user)?;
    }
    let limit = caller.subscription.tier.instances();
    match state.instances.create(&instance, limit).await? {
        Created::Created => {}
        Created::NameTaken => {
            return Err(ApiError::new(Code::NameTaken, "Another instance has this name"));
        }
        // It was switched off after the caller was let in.
        Created::SubscriptionInactive => return Err(inactive()),
        Created::LimitReached => {
            let tier = caller.subscription.tier;
            let message = format!("The tier {tier} allows {limit} instances");
            return Err(ApiError::new(Code::InstanceLimitReached, message)
                .with_details(json!({"tier": tier, "limit": limit})));
        }
    }
    RequestContext::note_instance(instance.id);
    let record = Record::by(&caller.user, Action::InstanceCreated).on(instance.id);
    trail.record(&state, record).await;
    let created = News::instance_created(&instance);
    news::tell(&state, instance.network, instance.shard, created).await;
    let owners = Owners::of(&state, [&instance]).await?;
    Ok(Reply::created(InstanceView::new(instance, &owners)))
}

fn instance(state: &ManagementState, caller: &UserCaller, request: Request) -> Result<Instance, ApiError> {
    let mut fields = Fields::default();
    let name = fields.parse::<InstanceName>("name", &request.name);
    let network = match &request.network {
        Some(text) => fields.check("network", served(state, text)),
        None => state.networks.first().copied(),
    };
    let strings = request.metadata.unwrap_or_default();
    metadata::check(&mut fields, &strings);
    let messages_per_minute = request
        .messages_per_minute
        .and_then(|value| pace::check(&mut fields, value));
    let content_days = request
        .content_days
        .map_or(0, |value| content_days::check(&mut fields, value));
    fields.unserved("alwaysOnline", request.always_online.is_some());
    fields.finish()?;
    let (Some(name), Some(network)) = (name, network) else {
        // Only a deployment that serves no network comes here.
        return Err(ApiError::internal());
    };
    let now = state.clock.now();
    let id = InstanceId::new(now);
    let shard = Shard::of(id, state.shards);
    Ok(Instance {
        metadata: strings,
        messages_per_minute,
        content_days,
        content_in_realtime: request.content_in_realtime.unwrap_or(false),
        ..Instance::new(id, caller.subscription.id, name, network, shard, now)
    })
}

fn served(state: &ManagementState, text: &str) -> Result<Network, String> {
    let network: Network = text
        .parse()
        .map_err(|error: shared::domain::UnknownText| error.to_string())?;
    if state.networks.contains(&network) {
        Ok(network)
    } else {
        Err(format!("`{network}` is not served by this deployment"))
    }
}
