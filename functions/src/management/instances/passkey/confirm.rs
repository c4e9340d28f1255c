//! `POST /api/instances/{instance}/passkey/confirm`: the phone shows the same code.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Given;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, OptionalJsonBody, Path, Reply, Trail};
use crate::management::ManagementState;
use crate::management::instances::behalf::Behalf;
use crate::management::instances::find::{InstanceRef, find};
use crate::management::instances::status;
use crate::openapi::Tag;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The code that was compared. Where WhatsApp waits with another one by now, nothing is confirmed
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "ABCD-1234")]
    code: Option<String>,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/api/instances/{instance}/passkey/confirm",
        "confirmPasskey",
        handler,
    )
    .about(Tag::Instances, "Says that the phone shows the same code")
    .details(
        "Only a person who has compared the two can say so: whoever confirms another code may link the account to somebody else. \
         Say which code it was: between the look and this request another attempt may have brought another one.",
    )
    .status(StatusCode::ACCEPTED)
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
    OptionalJsonBody(request): OptionalJsonBody<Request>,
) -> Result<Reply<status::Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let behalf = Behalf::of(&caller.user);
    let given = Given::SameCode(request.code.as_deref());
    let owners = super::answered(&state, behalf, &trail, &instance, given).await?;
    Ok(Reply::accepted(status::Response::new(instance, &owners)))
}
