//! `POST /api/instances/{instance}/passkey/confirm`: the phone shows the same code.

use axum::extract::State;
use axum::http::{Method, StatusCode};

use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Path, Reply, Trail};
use crate::management::ManagementState;
use crate::management::instances::behalf::Behalf;
use crate::management::instances::find::{InstanceRef, find};
use crate::management::instances::status;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/api/instances/{instance}/passkey/confirm",
        "confirmPasskey",
        handler,
    )
    .about(Tag::Instances, "Says that the phone shows the same code")
    .details(
        "Only a person who has compared the two can say so: whoever confirms another code may link the account to somebody else.",
    )
    .status(StatusCode::ACCEPTED)
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<status::Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let behalf = Behalf::of(&caller.user);
    let owners = super::answered(&state, behalf, &trail, &instance, None).await?;
    Ok(Reply::accepted(status::Response::new(instance, &owners)))
}
