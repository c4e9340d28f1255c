//! `{key}` in a path: a key of an instance of the caller's.

use serde::Deserialize;
use shared::ids::{KeyId, SubscriptionId};
use shared::storage::api_keys::ListedKey;
use utoipa::ToSchema;

use crate::http::ApiError;
use crate::management::ManagementState;
use crate::management::instances::find::{InstanceRef, find as find_instance};

/// `{instance}` and `{key}`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct KeyPath {
    #[schema(value_type = InstanceRef)]
    instance: String,
    #[schema(value_type = KeyId)]
    key: String,
}

/// The key that is meant.
pub async fn find(
    state: &ManagementState,
    subscription: SubscriptionId,
    path: &KeyPath,
) -> Result<ListedKey, ApiError> {
    let not_found = || ApiError::not_found("API key");
    let which: InstanceRef = path
        .instance
        .parse()
        .map_err(|_| ApiError::not_found("instance"))?;
    let instance = find_instance(state, subscription, &which).await?;
    let key: KeyId = path.key.parse().map_err(|_| not_found())?;
    state.api_keys.get(instance.id, key).await?.ok_or_else(not_found)
}
