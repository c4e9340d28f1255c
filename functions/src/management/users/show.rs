//! `GET /api/users/{user}`: a user of whichever subscription.

use axum::extract::State;
use axum::http::Method;
use shared::ids::UserId;

use super::find::find;
use crate::auth::view::UserView;
use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Path, Reply};
use crate::management::ManagementState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/users/{user}", "getUser", handler)
        .about(Tag::Administration, "Shows a user")
}

pub async fn handler(
    State(state): State<ManagementState>,
    _: Administrator,
    Path(id): Path<UserId>,
) -> Result<Reply<UserView>, ApiError> {
    Ok(Reply::ok(find(&state, id).await?.into()))
}
