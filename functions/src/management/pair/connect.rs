//! `POST /pair/{token}/connect`: asks for QR codes, anew where an attempt is over.

use axum::extract::State;
use axum::http::{Method, StatusCode};

use super::link::OpenLink;
use super::state::Response;
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Reply, Trail};
use crate::management::ManagementState;
use crate::management::instances::desired::{Asked, ask_of};
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::POST,
        "/pair/{token}/connect",
        "connectForPairing",
        handler,
    )
    .about(Tag::Pairing, "Asks for QR codes, anew where an attempt is over")
    .details("A code to type that waits leads nowhere any more.")
    .status(StatusCode::ACCEPTED)
}

pub async fn handler(
    State(state): State<ManagementState>,
    link: OpenLink,
    trail: Trail,
) -> Result<Reply<Response>, ApiError> {
    link.count(&state).await?;
    let asked = ask_of(
        &state,
        link.behalf(),
        &trail,
        link.instance.clone(),
        Asked::Connect,
    );
    let (instance, owners) = asked.await?;
    Response::of(&state, &instance, link.expires_at, &owners)
        .await
        .map(Reply::accepted)
}
