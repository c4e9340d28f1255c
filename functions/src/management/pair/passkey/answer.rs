//! `POST /pair/{token}/passkey`: the assertion that a browser has made.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use shared::domain::passkey::Credential;
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
    credential: Credential,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/pair/{token}/passkey",
        "answerPasskeyForPairing",
        handler,
    )
    .about(Tag::Pairing, "Answers WhatsApp with an assertion by a passkey")
    .details("As `POST /api/instances/{instance}/passkey` does.")
    .status(StatusCode::ACCEPTED)
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    link: OpenLink,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let given = passkey::Given::Assertion(&request.credential);
    let owners = passkey::answered(&state, link.behalf(), &trail, &link.instance, given).await?;
    Response::of(&state, &link.instance, link.expires_at, &owners)
        .await
        .map(Reply::accepted)
}
