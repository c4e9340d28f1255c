//! `POST /api/auth/logout`: ends the session of the access token, with all its tokens.

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use shared::domain::audit::Action;
use utoipa::ToSchema;

use crate::http::caller::UserCaller;
use crate::http::{ApiError, Record, Reply, Trail};
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    logged_out: bool,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::POST, "/api/auth/logout", "logout", handler)
        .about(Tag::Authentication, "Ends the access token's session")
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
