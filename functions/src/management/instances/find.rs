//! `{instance}` in a path: an id, or a name within the caller's subscription.

use std::str::FromStr;

use shared::domain::instance::{Instance, InstanceName, InvalidInstanceName};
use shared::ids::{InstanceId, SubscriptionId};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::{ApiError, RequestContext};
use crate::management::ManagementState;

/// How a path names an instance. No name looks like an id.
#[derive(Debug)]
pub enum InstanceRef {
    /// By its id.
    Id(InstanceId),
    /// By its name.
    Name(InstanceName),
}

impl PartialSchema for InstanceRef {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .item(InstanceName::schema())
            .item(InstanceId::schema())
            .description(Some(
                "The instance's id, or its name in the caller's subscription",
            ))
            .into()
    }
}

impl ToSchema for InstanceRef {}

impl FromStr for InstanceRef {
    type Err = InvalidInstanceName;

    fn from_str(text: &str) -> Result<Self, InvalidInstanceName> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

/// The instance that is meant, if it is this subscription's.
pub async fn find(
    state: &ManagementState,
    subscription: SubscriptionId,
    which: &InstanceRef,
) -> Result<Instance, ApiError> {
    let found = match which {
        InstanceRef::Id(id) => state.instances.get(subscription, *id).await?,
        InstanceRef::Name(name) => state.instances.get_by_name(subscription, name).await?,
    };
    let found = found.ok_or_else(|| ApiError::not_found("instance"))?;
    RequestContext::note_instance(found.id);
    Ok(found)
}
