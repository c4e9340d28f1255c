//! `GET /api/stats`: the instance's counters by day (UTC).

use axum::extract::State;
use axum::http::Method;

use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Query, Reply};
use crate::messaging::MessagingState;
use crate::openapi::Tag;
use crate::statistics::{Request, Response};

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::GET, "/api/stats", "getStats", handler)
        .about(Tag::Instance, "Tells the counters of the instance by day (UTC)")
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::StatsRead>,
    Query(request): Query<Request>,
) -> Result<Reply<Response>, ApiError> {
    let counted = Response::of(
        &state.counters,
        caller.grant.instance,
        &request,
        state.clock.now(),
    )
    .await?;
    Ok(Reply::ok(counted))
}
