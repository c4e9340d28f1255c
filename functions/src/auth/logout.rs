//! `POST /api/auth/logout`: ends the session of the access token, with all its tokens.

use axum::extract::State;
use serde::Serialize;
use shared::domain::audit::Action;

use crate::http::caller::UserCaller;
use crate::http::{ApiError, Record, Reply, Trail};
use crate::state::AppState;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    logged_out: bool,
}

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    trail: Trail,
) -> Result<Reply<Response>, ApiError> {
    state.sessions.end(&caller.session.name).await?;
    let record = Record::by(&caller.user, Action::Logout).on(caller.user.id);
    trail.record(&state, record).await;
    Ok(Reply::ok(Response { logged_out: true }))
}
