//! `/admin/faults`: making the network misbehave.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::error::{ApiError, ApiResult, Body};
use crate::faults::{Fault, Rule};
use crate::network::Network;

/// A fault in force, or one that has happened.
#[derive(Debug, Serialize)]
pub(super) struct Added {
    #[serde(flatten)]
    rule: Rule,
    /// The clients it has befallen already.
    clients: usize,
}

/// `POST /admin/faults`
pub(super) async fn add(
    State(network): State<Arc<Network>>,
    Body(rule): Body<Rule>,
) -> ApiResult<(StatusCode, Json<Added>)> {
    if rule.target.phone.is_some() == rule.target.all {
        return Err(ApiError::invalid(
            "`target` wants exactly one of `phone` and `all`",
        ));
    }
    if rule.count == Some(0) {
        return Err(ApiError::invalid("`count` is at least 1"));
    }
    let clients = match rule.fault {
        Fault::HoldAcks => {
            network.faults.add(rule.clone());
            0
        }
        Fault::DropSocket => {
            let most = rule
                .count
                .map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
            let clients = network.registry.clients(rule.target.phone.as_deref());
            clients
                .iter()
                .take(most)
                .inspect(|client| client.close.cancel())
                .count()
        }
    };
    Ok((StatusCode::CREATED, Json(Added { rule, clients })))
}

/// `GET /admin/faults`: those in force.
pub(super) async fn list(State(network): State<Arc<Network>>) -> Json<Vec<Rule>> {
    Json(network.faults.list())
}

/// `DELETE /admin/faults`: all end.
pub(super) async fn clear(State(network): State<Arc<Network>>) -> StatusCode {
    network.faults.clear();
    StatusCode::NO_CONTENT
}
