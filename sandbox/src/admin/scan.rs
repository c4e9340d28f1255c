//! `POST /admin/mock-phone/scan-qr`: a person scans the QR code that a client shows.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::error::{ApiResult, Params};
use crate::network::Network;
use crate::script::{self, Linked};

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
