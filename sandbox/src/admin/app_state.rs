//! `/admin/phones/{phone}/app-state`: the settings that a phone shares with its companions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::error::{ApiResult, Body};
use crate::directory;
use crate::error::Error;
use crate::network::Network;
use crate::phone::app_state::actions::{self, Action};
use crate::phone::app_state::{self, Record};
use crate::store::Unit;

/// `GET …/app-state`: what the phone holds, decrypted and verified by it.
pub(super) async fn list(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
) -> ApiResult<Json<Vec<Record>>> {
    let work = move |unit: &mut Unit<'_>| {
        directory::require(unit, &phone)?;
        app_state::list(unit, &phone)
    };
    Ok(Json(network.store.run(work).await?))
}

/// `POST …/app-state`: the person does something with a chat, a contact or a setting.
pub(super) async fn act(
    State(network): State<Arc<Network>>,
    Path(phone): Path<String>,
    Body(action): Body<Action>,
) -> ApiResult<StatusCode> {
    let work = move |unit: &mut Unit<'_>| {
        let account = directory::require(unit, &phone)?;
        if !account.online {
            return Err(Error::Conflict("this phone is offline".into()));
        }
        actions::act(unit, &account, action)
    };
    network.store.run(work).await?;
    Ok(StatusCode::NO_CONTENT)
}
