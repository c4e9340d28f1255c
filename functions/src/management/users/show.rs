//! `GET /api/users/{user}`: a user of whichever subscription.

use axum::extract::State;
use axum::http::Method;
use shared::ids::UserId;

use super::find::find;
use crate::auth::view::UserView;
use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Path, Reply};
use crate::openapi::Tag;
use crate::state::AppState;

pub fn endpoint() -> Endpoint {
    Endpoint::new(Method::GET, "/api/users/{user}", "getUser", handler)
        .about(Tag::Administration, "Shows a user")
}

pub async fn handler(
    State(state): State<AppState>,
    _: Administrator,
    Path(id): Path<UserId>,
) -> Result<Reply<UserView>, ApiError> {
    Ok(Reply::ok(find(&state, id).await?.into()))
}
