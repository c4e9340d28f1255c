//! `GET /api/instances/{instance}`.

use axum::extract::State;
use axum::http::Method;

use super::InstanceView;
use super::find::{InstanceRef, find};
use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Path, Reply};
use crate::management::ManagementState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/instances/{instance}", "getInstance", handler)
        .about(Tag::Instances, "Shows an instance")
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<InstanceView>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let owners = Owners::of(&state, [&instance]).await?;
    Ok(Reply::ok(InstanceView::new(instance, &owners)))
}
