//! `POST /pair/{token}/code`: a code to type on the phone with the given number.

use axum::extract::State;
use axum::http::Method;
use serde::Deserialize;
use shared::domain::phone::PhoneNumber;
use utoipa::ToSchema;

use super::link::OpenLink;
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Code, JsonBody, Reply, Trail};
use crate::management::ManagementState;
use crate::management::instances::pairing_code::{self, Response};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = PhoneNumber)]
    phone: String,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/pair/{token}/code",
        "createCodeForPairing",
        handler,
    )
    .about(Tag::Pairing, "Pairs by a code that is entered on the phone")
    .details("As `POST /api/instances/{instance}/pairing-code` does.")
    .errors(&[Code::Conflict, Code::UpstreamError, Code::UpstreamTimeout])
}

pub async fn handler(
    State(state): State<ManagementState>,
    link: OpenLink,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let phone = pairing_code::phone(&request.phone)?;
    pairing_code::get(&state, link.behalf(), &trail, &link.instance, &phone)
        .await
        .map(Reply::ok)
}
