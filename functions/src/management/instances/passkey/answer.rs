//! `POST /api/instances/{instance}/passkey`: the assertion that a browser of the account's owner has made.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use shared::domain::passkey::Credential;
use utoipa::ToSchema;

use super::Given;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, JsonBody, Path, Reply, Trail};
use crate::management::ManagementState;
use crate::management::instances::behalf::Behalf;
use crate::management::instances::find::{InstanceRef, find};
use crate::management::instances::status;
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    credential: Credential,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/api/instances/{instance}/passkey",
        "answerPasskey",
        handler,
    )
    .about(
        Tag::Instances,
        "Answers WhatsApp with an assertion of the account's owner",
    )
    .details(
        "`202` says that it is on its way. Whether WhatsApp accepts it the status tells: `AWAITING_PASSKEY` goes on, or ends with \
         `PASSKEY_REFUSED`. An answer to another challenge is refused and uses nothing up.",
    )
    .status(StatusCode::ACCEPTED)
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<status::Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let behalf = Behalf::of(&caller.user);
    let given = Given::Assertion(&request.credential);
    let owners = super::answered(&state, behalf, &trail, &instance, given).await?;
    Ok(Reply::accepted(status::Response::new(instance, &owners)))
}
