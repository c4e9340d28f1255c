//! `POST /api/instances/{instance}/restart`: asks its shard's daemon to end the
//! connection, where there is one, and to make another.

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
        "/api/instances/{instance}/restart",
        "restartInstance",
        handler,
    )
    .about(Tag::Instances, "Asks to end the connection and to make another")
    .status(StatusCode::ACCEPTED)
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<status::Response>, ApiError> {
    ask(&state, &caller, &trail, &which, Asked::Restart).await
}
