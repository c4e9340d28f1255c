//! `POST /admin/mock-phone/scan-qr`: a person scans the QR code that a client shows.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::error::{ApiResult, Params};
use crate::error::Error;
use crate::network::Network;
use crate::pairing;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScanParams {
    phone: Option<String>,
}

/// The device that was linked, and to whom.
#[derive(Debug, Serialize)]
pub(super) struct Scanned {
    phone: String,
    lid: String,
    name: String,
    device: u16,
}

/// The body is the QR code's text as it is.
pub(super) async fn scan_qr(
    State(network): State<Arc<Network>>,
    Params(params): Params<ScanParams>,
    qr: String,
) -> ApiResult<Json<Scanned>> {
    // A caller that hangs up must not leave a device half linked.
    let tasks = network.tasks.clone();
    let scan = tasks.spawn(async move { pairing::scan(&network, &qr, params.phone).await });
    let linked = scan.await.map_err(|_| Error::Stopped)??;
    let crate::directory::Account { phone, lid, name, .. } = linked.account;
    Ok(Json(Scanned {
        phone,
        lid,
        name,
        device: linked.device,
    }))
}
