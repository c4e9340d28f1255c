//! Linking: `POST /admin/mock-phone/scan-qr`, a person scans the QR code that a client shows, and
//! `POST /admin/phones/{phone}/link-code`, a person types the code that it shows.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::error::{ApiResult, Body, Params};
use crate::error::Error;
use crate::network::Network;
use crate::pairing::{self, Linked};

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
    Ok(Json(linked.into()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkCodeRequest {
    code: String,
}

/// `POST …/link-code`: the code as the client shows it, with or without its hyphen.
pub(super) async fn link_code(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(request): Body<LinkCodeRequest>,
) -> ApiResult<Json<Scanned>> {
    let tasks = network.tasks.clone();
    let entering = async move { pairing::code::enter(&network, phone, &request.code).await };
    let linked = tasks.spawn(entering).await.map_err(|_| Error::Stopped)??;
    Ok(Json(linked.into()))
}

impl From<Linked> for Scanned {
    fn from(linked: Linked) -> Self {
        let crate::directory::Account { phone, lid, name, .. } = linked.account;
        Self {
            phone,
            lid,
            name,
            device: linked.device,
        }
    }
}
