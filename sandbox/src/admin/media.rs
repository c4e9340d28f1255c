//! `GET /admin/ca.pem`, `POST /admin/media/expire`, and what a phone's person sees of media and pictures.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::error::{ApiResult, Body};
use crate::network::Network;
use crate::script::{self, Phone};

/// `GET /admin/ca.pem`: the root certificate of the media host.
pub(super) async fn ca(State(network): State<Arc<Network>>) -> Response {
    let pem = network.media.ca_pem().to_owned();
    ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExpireRequest {
    direct_path: Option<String>,
}

/// How many paths were live before.
#[derive(Debug, Serialize)]
pub(super) struct Expired {
    expired: usize,
}

/// `POST /admin/media/expire`: the file at `directPath`, without it all.
pub(super) async fn expire(
    State(network): State<Arc<Network>>,
    Body(request): Body<ExpireRequest>,
) -> ApiResult<Json<Expired>> {
    let expired = script::expire_media(&network, request.direct_path).await?;
    Ok(Json(Expired { expired }))
}

/// `GET /admin/phones/{phone}/inbox/{id}/media`: what the phone decrypted.
pub(super) async fn open(phone: Phone, Path((_, id)): Path<(String, String)>) -> ApiResult<Response> {
    let file = phone.media(&id).await?;
    let mime = HeaderValue::from_str(&file.mime_type)
        .ok()
        .filter(|mime| !mime.is_empty())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    Ok(([(header::CONTENT_TYPE, mime)], file.bytes).into_response())
}

/// `DELETE /admin/phones/{phone}/inbox/{id}/media`: the phone's person deletes the file, and the phone gives it to nobody again.
pub(super) async fn forget(phone: Phone, Path((_, id)): Path<(String, String)>) -> ApiResult<StatusCode> {
    phone.forget_media(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /admin/phones/{phone}/groups/{group}/picture`: the person changes the group's picture, as the own one.
pub(super) async fn group_picture(
    phone: Phone,
    Path((_, group)): Path<(String, String)>,
    body: Bytes,
) -> ApiResult<StatusCode> {
    let picture = (!body.is_empty()).then_some(body);
    phone.set_group_picture(&group, picture).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /admin/phones/{phone}/picture`: the person changes the picture; the body is a JPEG, or empty for none.
pub(super) async fn picture(phone: Phone, body: Bytes) -> ApiResult<StatusCode> {
    phone.set_picture((!body.is_empty()).then_some(body)).await?;
    Ok(StatusCode::NO_CONTENT)
}
