//! `/admin/faults`: making the network misbehave.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::error::{ApiError, ApiResult, Body};
use crate::faults::{Added, FaultControl, InForce, Rule};
use crate::network::Network;

/// `POST /admin/faults`
pub(super) async fn add(
    State(network): State<Arc<Network>>,
    Body(rule): Body<Rule>,
) -> ApiResult<(StatusCode, Json<Added>)> {
    let added = FaultControl::new(network).add(rule).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// `GET /admin/faults`: those in force.
pub(super) async fn list(State(network): State<Arc<Network>>) -> Json<Vec<InForce>> {
    Json(FaultControl::new(network).list())
}

/// `DELETE /admin/faults`: all end.
pub(super) async fn clear(State(network): State<Arc<Network>>) -> StatusCode {
    FaultControl::new(network).clear();
    StatusCode::NO_CONTENT
}

/// `DELETE /admin/faults/{id}`: one ends.
pub(super) async fn remove(
    State(network): State<Arc<Network>>,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id = id
        .parse()
        .map_err(|_| ApiError::invalid("the id of a fault is a number"))?;
    FaultControl::new(network).remove(id)?;
    Ok(StatusCode::NO_CONTENT)
}
