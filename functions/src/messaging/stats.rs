//! `GET /api/stats`: the instance's counters by day (UTC).

use axum::extract::State;

use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Query, Reply};
use crate::state::AppState;
use crate::statistics::{Request, Response};

pub async fn handler(
    State(state): State<AppState>,
    caller: KeyCaller<permission::StatsRead>,
    Query(request): Query<Request>,
) -> Result<Reply<Response>, ApiError> {
    let counted = Response::of(&state, caller.grant.instance, &request).await?;
    Ok(Reply::ok(counted))
}
