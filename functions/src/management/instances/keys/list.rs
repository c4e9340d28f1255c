//! `GET /api/instances/{instance}/keys`: an instance's API keys, newest first, without their secrets.

use axum::extract::State;
use axum::http::Method;
use shared::ids::KeyId;

use super::view::KeyView;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, List, Listing, PageQuery, Path, Query, Reply};
use crate::management::ManagementState;
use crate::management::instances::find::{InstanceRef, find};
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/instances/{instance}/keys", "listKeys", handler).about(
        Tag::Keys,
        "Lists the API keys of an instance, without their secrets",
    )
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<KeyView>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let page = query.parse::<KeyId>(List::new("keys").of(instance.id))?;
    let keys = state
        .api_keys
        .list(instance.id, page.after, page.limit + 1)
        .await?;
    let (keys, pagination) = page.cut(keys, |key| key.grant.key);
    Ok(Reply::ok(keys.into_iter().map(KeyView::from).collect()).page(pagination))
}
