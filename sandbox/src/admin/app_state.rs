//! `/admin/phones/{phone}/app-state`: the settings that a phone shares with its companions.

use axum::Json;
use axum::http::StatusCode;

use super::error::{ApiResult, Body};
use crate::script::{AppStateAction, AppStateRecord, Phone};

/// `GET …/app-state`
pub(super) async fn list(phone: Phone) -> ApiResult<Json<Vec<AppStateRecord>>> {
    Ok(Json(phone.app_state().await?))
}

/// `POST …/app-state`
pub(super) async fn act(phone: Phone, Body(action): Body<AppStateAction>) -> ApiResult<StatusCode> {
    phone.change_app_state(action).await?;
    Ok(StatusCode::NO_CONTENT)
}
