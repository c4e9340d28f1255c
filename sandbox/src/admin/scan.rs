//! Linking: `POST /admin/mock-phone/scan-qr`, a person scans the QR code that a client shows,
//! `POST /admin/phones/{phone}/link-code`, a person types the code that it shows, and `POST /admin/phones/{phone}/passkey`, a person
//! uses the passkey that the network wants. Where it wants one, the first two answer when all of it is done.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::error::{ApiResult, Body, Params};
use crate::network::Network;
use crate::script::{self, Linked, Phone};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScanParams {
    phone: Option<String>,
}

/// The body is the QR code's text as it is.
pub(super) async fn scan_qr(
    State(network): State<Arc<Network>>,
    Params(params): Params<ScanParams>,
    qr: String,
) -> ApiResult<Json<Linked>> {
    Ok(Json(script::scan(&network, qr, params.phone).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkCodeRequest {
    code: String,
}

/// `POST …/link-code`: the code as the client shows it.
pub(super) async fn link_code(phone: Phone, Body(request): Body<LinkCodeRequest>) -> ApiResult<Json<Linked>> {
    Ok(Json(phone.enter_code(&request.code).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasskeyRequest {
    options: serde_json::Value,
    origin: Option<String>,
}

/// `POST …/passkey`: the request options as the client shows them; the answer is the credential.
pub(super) async fn passkey(
    phone: Phone,
    Body(request): Body<PasskeyRequest>,
) -> ApiResult<Json<serde_json::Value>> {
    Ok(Json(phone.use_passkey(request.options, request.origin).await?))
}
