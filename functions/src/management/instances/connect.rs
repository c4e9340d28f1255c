//! `POST /api/instances/{instance}/connect`: asks for a connection, which its shard's
//! daemon makes.

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
        "/api/instances/{instance}/connect",
        "connectInstance",
        handler,
    )
    .about(Tag::Instances, "Asks for a connection")
    .status(StatusCode::ACCEPTED)
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<status::Response>, ApiError> {
    ask(&state, &caller, &trail, &which, Asked::Connect).await
}
