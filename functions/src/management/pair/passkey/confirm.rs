//! `POST /pair/{token}/passkey/confirm`: the phone shows the same code.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::{ApiError, Code, JsonBody, Reply, Trail};
use crate::management::ManagementState;
use crate::management::instances::passkey;
use crate::management::pair::link::OpenLink;
use crate::management::pair::state::Response;
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The code that was compared
    #[schema(example = "ABCD-1234")]
    code: String,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/pair/{token}/passkey/confirm",
        "confirmPasskeyForPairing",
        handler,
    )
    .about(Tag::Pairing, "Says that the phone shows the same code")
    .details(
        "As `POST /api/instances/{instance}/passkey/confirm` does, for the code that the page has shown.",
    )
    .status(StatusCode::ACCEPTED)
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    link: OpenLink,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let given = passkey::Given::SameCode(Some(&request.code));
    let owners = passkey::answered(&state, link.behalf(), &trail, &link.instance, given).await?;
    Response::of(&state, &link.instance, link.expires_at, &owners)
        .await
        .map(Reply::accepted)
}
