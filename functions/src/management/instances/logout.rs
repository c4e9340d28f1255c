//! `POST /api/instances/{instance}/logout`: asks its shard's daemon to unlink the instance from
//! its phone and to forget the account. It is paired anew by the next connection.

use axum::extract::State;
use axum::http::{Method, StatusCode};

use super::desired::{Asked, ask};
use super::find::InstanceRef;
use super::status;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Path, Reply, Trail};
use crate::management::ManagementState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/api/instances/{instance}/logout",
        "logoutInstance",
        handler,
    )
    .about(Tag::Instances, "Asks to unlink the instance from its phone")
    .status(StatusCode::ACCEPTED)
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<status::Response>, ApiError> {
    ask(&state, &caller, &trail, &which, Asked::Logout).await
}
