//! `POST /pair/{token}/passkey/confirm`: the phone shows the same code.

use axum::extract::State;
use axum::http::{Method, StatusCode};

use crate::endpoint::Endpoint;
use crate::http::{ApiError, Code, Reply, Trail};
use crate::management::ManagementState;
use crate::management::instances::passkey;
use crate::management::pair::link::OpenLink;
use crate::management::pair::state::Response;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/pair/{token}/passkey/confirm",
        "confirmPasskeyForPairing",
        handler,
    )
    .about(Tag::Pairing, "Says that the phone shows the same code")
    .details("As `POST /api/instances/{instance}/passkey/confirm` does.")
    .status(StatusCode::ACCEPTED)
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    link: OpenLink,
    trail: Trail,
) -> Result<Reply<Response>, ApiError> {
    let owners = passkey::answered(&state, link.behalf(), &trail, &link.instance, None).await?;
    Response::of(&state, &link.instance, link.expires_at, &owners)
        .await
        .map(Reply::accepted)
}
