//! `/admin/phones/{phone}/…`: what a person says of themselves, whom they let see and reach them, and that they are
//! there or writing.

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;

use super::error::{ApiResult, Body};
use crate::script::{BlockRequest, Call, CallRequest, Phone, PrivacySettings, TypingRequest, TypingSeen};

/// `POST …/typing`
pub(super) async fn type_to(phone: Phone, Body(request): Body<TypingRequest>) -> ApiResult<StatusCode> {
    phone.type_to(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET …/typing`
pub(super) async fn typing(phone: Phone) -> ApiResult<Json<Vec<TypingSeen>>> {
    Ok(Json(phone.typing().await?))
}

/// `POST …/call`: 201 for a new call, 200 for the end of one.
pub(super) async fn call(
    phone: Phone,
    Body(request): Body<CallRequest>,
) -> ApiResult<(StatusCode, Json<Call>)> {
    let status = match request.end {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    Ok((status, Json(phone.call(request).await?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PresenceRequest {
    available: bool,
}

/// `POST …/presence`
pub(super) async fn set_presence(
    phone: Phone,
    Body(request): Body<PresenceRequest>,
) -> ApiResult<StatusCode> {
    phone.set_available(request.available).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST …/block`
pub(super) async fn block(phone: Phone, Body(request): Body<BlockRequest>) -> ApiResult<StatusCode> {
    phone.block(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReachoutLockRequest {
    seconds: u32,
}

/// `POST …/reachout-lock`
pub(super) async fn lock_reachout(
    phone: Phone,
    Body(request): Body<ReachoutLockRequest>,
) -> ApiResult<StatusCode> {
    phone.lock_reachout(request.seconds).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AboutRequest {
    text: String,
}

/// `POST …/about`
pub(super) async fn about(phone: Phone, Body(request): Body<AboutRequest>) -> ApiResult<StatusCode> {
    phone.set_about(request.text).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameRequest {
    name: String,
}

/// `POST …/name`
pub(super) async fn name(phone: Phone, Body(request): Body<NameRequest>) -> ApiResult<StatusCode> {
    phone.set_name(request.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST …/privacy`: `{"last": "contacts", "status": {"except": ["155501000002"]}}`. Answers all settings.
pub(super) async fn set_privacy(
    phone: Phone,
    Body(changes): Body<PrivacySettings>,
) -> ApiResult<Json<PrivacySettings>> {
    Ok(Json(phone.set_privacy(changes).await?))
}

/// `GET …/privacy`
pub(super) async fn get_privacy(phone: Phone) -> ApiResult<Json<PrivacySettings>> {
    Ok(Json(phone.privacy().await?))
}
