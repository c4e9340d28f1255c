//! `/admin/phones`: making, listing and removing phones, and turning them on and off.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::error::{ApiResult, Body};
use crate::network::Network;
use crate::script::{self, NewPhone, Phone, PhoneInfo};

/// `POST /admin/phones`
pub(super) async fn create(
    State(network): State<Arc<Network>>,
    Body(new): Body<NewPhone>,
) -> ApiResult<(StatusCode, Json<PhoneInfo>)> {
    Ok((
        StatusCode::CREATED,
        Json(script::create_phone(&network, new).await?),
    ))
}

/// `GET /admin/phones`, oldest first.
pub(super) async fn list(State(network): State<Arc<Network>>) -> ApiResult<Json<Vec<PhoneInfo>>> {
    Ok(Json(script::list_phones(&network).await?))
}

/// `DELETE /admin/phones/{phone}`
pub(super) async fn remove(phone: Phone) -> ApiResult<StatusCode> {
    phone.remove().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /admin/phones/{phone}/offline`
pub(super) async fn offline(phone: Phone) -> ApiResult<StatusCode> {
    phone.offline().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /admin/phones/{phone}/online`
pub(super) async fn online(phone: Phone) -> ApiResult<StatusCode> {
    phone.online().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnlinkRequest {
    device: Option<u16>,
}

/// `POST /admin/phones/{phone}/unlink`: one linked device, or all.
pub(super) async fn unlink(phone: Phone, Body(request): Body<UnlinkRequest>) -> ApiResult<StatusCode> {
    phone.unlink(request.device).await?;
    Ok(StatusCode::NO_CONTENT)
}
