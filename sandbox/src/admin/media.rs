//! `GET /admin/ca.pem`, `POST /admin/media/expire`, and what a phone's person sees of media and pictures.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::error::{ApiError, ApiResult, Body};
use crate::directory;
use crate::error::Result;
use crate::media::catalogue;
use crate::network::Network;
use crate::phone::gallery;
use crate::pictures::{self, Author, Owner};
use crate::store::Unit;

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
    let expired = network
        .store
        .run(move |unit| catalogue::expire(unit, request.direct_path.as_deref()))
        .await?;
    Ok(Json(Expired { expired }))
}

/// `GET /admin/phones/{phone}/inbox/{id}/media`: what the phone decrypted.
pub(super) async fn open(
    State(network): State<Arc<Network>>,
    Path((phone, id)): Path<(String, String)>,
) -> ApiResult<Response> {
    let (mime, bytes) = gallery::open(&network, phone, id).await?;
    // The type is the sender's word, and anything.
    let mime = HeaderValue::from_str(&mime)
        .ok()
        .filter(|mime| !mime.is_empty())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    Ok(([(header::CONTENT_TYPE, mime)], bytes).into_response())
}

/// `POST /admin/phones/{phone}/picture`: the person changes the picture; the body is a JPEG, or empty for none.
pub(super) async fn picture(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    body: Bytes,
) -> ApiResult<StatusCode> {
    if body.is_empty() {
        let remove = move |unit: &mut Unit<'_>| {
            let (owner, author) = own_picture(unit, &phone)?;
            pictures::remove(unit, &owner, &author)
        };
        network.store.run(remove).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    if !pictures::is_picture(&body) {
        let message = format!("a picture is a JPEG of at most {} bytes", pictures::MAX_BYTES);
        return Err(ApiError::invalid(message));
    }
    network
        .media
        .keep(&network.store, [body.clone(), body], move |unit, kept| {
            let (owner, author) = own_picture(unit, &phone)?;
            pictures::set(unit, &owner, &author, kept)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A person with the own phone in hand.
fn own_picture(unit: &Unit<'_>, phone: &str) -> Result<(Owner, Author)> {
    let account = directory::require(unit, phone)?;
    Ok((Owner::Person(account.clone()), Author { account, device: 0 }))
}
