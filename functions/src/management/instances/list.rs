//! `GET /api/instances`: the subscription's instances, newest first.

use axum::extract::State;
use axum::http::Method;
use shared::ids::InstanceId;

use super::InstanceView;
use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, List, Listing, PageQuery, Query, Reply};
use crate::management::ManagementState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/instances", "listInstances", handler)
        .about(Tag::Instances, "Lists the instances of the subscription")
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    Query(query): Query<PageQuery>,
) -> Result<Listing<InstanceView>, ApiError> {
    let page = query.parse::<InstanceId>(List::new("instances").of(caller.subscription.id))?;
    let instances = state
        .instances
        .list(caller.subscription.id, page.after, page.limit + 1)
        .await?;
    let (instances, pagination) = page.cut(instances, |instance| instance.id);
    let owners = Owners::of(&state, &instances).await?;
    let views = instances
        .into_iter()
        .map(|instance| InstanceView::new(instance, &owners));
    Ok(Reply::ok(views.collect()).page(pagination))
}
