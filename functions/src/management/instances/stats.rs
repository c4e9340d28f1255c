//! `GET /api/instances/{instance}/stats`: its counters by day (UTC).

use axum::extract::State;
use axum::http::Method;

use super::find::{InstanceRef, find};
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Path, Query, Reply};
use crate::management::ManagementState;
use crate::openapi::Tag;
use crate::statistics::{Request, Response};

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::GET,
        "/api/instances/{instance}/stats",
        "getInstanceStats",
        handler,
    )
    .about(Tag::Instances, "Tells the counters of an instance by day (UTC)")
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
    Query(request): Query<Request>,
) -> Result<Reply<Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let counted = Response::of(&state.counters, instance.id, &request, state.clock.now()).await?;
    Ok(Reply::ok(counted))
}
