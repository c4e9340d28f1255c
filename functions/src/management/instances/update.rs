//! `PUT /api/instances/{instance}`: another name, other metadata, another pace, another term for contents, and whether the
//! realtime feed has them. A member that is not there stays as it is; `metadata` is replaced as a whole, and `null` takes it or the pace away.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::domain::audit::Action;
use shared::domain::instance::{Instance, InstanceName};
use shared::domain::network::Network;
use shared::storage::instances::{Settings, Updated};
use utoipa::ToSchema;

use super::find::{InstanceRef, find};
use super::{InstanceView, content_days, metadata, pace};
use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Changes, Code, Fields, Given, JsonBody, Path, Record, Reply, Trail, Whole};
use crate::management::ManagementState;
use crate::nudge::{PATIENT, nudge};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    #[schema(value_type = InstanceName, required = false)]
    name: Option<String>,
    #[schema(value_type = Network, required = false)]
    network: Option<String>,
    #[serde(default)]
    #[schema(schema_with = metadata::schema)]
    metadata: Given<BTreeMap<String, String>>,
    #[serde(default)]
    #[schema(schema_with = pace::schema)]
    messages_per_minute: Given<Whole>,
    #[schema(schema_with = content_days::schema)]
    content_days: Option<Whole>,
    /// Whether the realtime feed says what messages say
    #[schema(value_type = bool, required = false, example = false)]
    content_in_realtime: Option<bool>,
    #[schema(ignore)]
    always_online: Option<IgnoredAny>,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::PUT,
        "/api/instances/{instance}",
        "updateInstance",
        handler,
    )
    .about(Tag::Instances, "Changes an instance's name, its metadata, its pace, or what becomes of contents")
    .details("A member that is not there stays as it is; `metadata` is replaced as a whole. `null` takes `metadata` or `messagesPerMinute` away.")
    .errors(&[Code::NameTaken, Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<InstanceView>, ApiError> {
    let mut instance = find(&state, caller.subscription.id, &which).await?;
    let mut fields = Fields::default();
    let name = request.name.as_deref();
    let name = name.and_then(|text| fields.parse::<InstanceName>("name", text));
    if request
        .network
        .is_some_and(|text| text != instance.network.as_str())
    {
        fields.fault("network", "is fixed at creation");
    }
    let metadata = match request.metadata {
        Given::Absent => instance.metadata.clone(),
        Given::Null => BTreeMap::new(),
        Given::Value(strings) => {
            metadata::check(&mut fields, &strings);
            strings
        }
    };
    let messages_per_minute = match request.messages_per_minute {
        Given::Absent => instance.messages_per_minute,
        Given::Null => None,
        Given::Value(value) => pace::check(&mut fields, value),
    };
    let content_days = request.content_days.map_or(instance.content_days, |value| {
        content_days::check(&mut fields, value)
    });
    fields.unserved("alwaysOnline", request.always_online.is_some());
    fields.finish()?;

    let to = Settings {
        name: name.unwrap_or_else(|| instance.name.clone()),
        metadata,
        messages_per_minute,
        content_days,
        content_in_realtime: request
            .content_in_realtime
            .unwrap_or(instance.content_in_realtime),
    };
    match state.instances.update(&instance, &to).await? {
        Updated::Done => {}
        Updated::NameTaken => {
            return Err(ApiError::new(Code::NameTaken, "Another instance has this name"));
        }
        Updated::Stale => {
            return Err(ApiError::new(
                Code::Conflict,
                "The instance was changed or deleted by another request meanwhile",
            ));
        }
    }
    // If this fails the caller gets an error, and the same request again mends it.
    state.api_keys.rename_instance(instance.id, &to.name).await?;
    let record = Record::by(&caller.user, Action::InstanceUpdated).on(instance.id);
    let (pace, days) = (instance.messages_per_minute, instance.content_days);
    let is_fed = instance.content_in_realtime;
    let changes = Changes::default()
        .value("name", &instance.name, &to.name)
        .names("metadata", &instance.metadata, &to.metadata)
        .option("messagesPerMinute", pace, to.messages_per_minute)
        .value("contentDays", &days, &to.content_days)
        .value("contentInRealtime", &is_fed, &to.content_in_realtime);
    trail.record(&state, record.changes(changes)).await;
    let is_news = to != present(&instance);
    (instance.name, instance.metadata) = (to.name, to.metadata);
    instance.content_in_realtime = to.content_in_realtime;
    (instance.messages_per_minute, instance.content_days) = (to.messages_per_minute, to.content_days);
    if is_news {
        // Its daemon goes by all of it: the realtime feed names the instance in each event.
        nudge(&state, instance.network, instance.shard, instance.id, PATIENT).await;
    }
    let owners = Owners::of(&state, [&instance]).await?;
    Ok(Reply::ok(InstanceView::new(instance, &owners)))
}

/// The settings that an instance has.
fn present(instance: &Instance) -> Settings {
    Settings {
        name: instance.name.clone(),
        metadata: instance.metadata.clone(),
        messages_per_minute: instance.messages_per_minute,
        content_days: instance.content_days,
        content_in_realtime: instance.content_in_realtime,
    }
}
