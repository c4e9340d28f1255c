//! `GET /admin/stats` and `GET /admin/root-pub`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::error::ApiResult;
use crate::network::Network;
use crate::script::{self, Stats};

/// `GET /admin/stats`
pub(super) async fn stats(State(network): State<Arc<Network>>) -> ApiResult<Json<Stats>> {
    Ok(Json(script::stats(&network).await?))
}

/// `GET /admin/root-pub`: the public half of the root of the Noise certificates, in hex.
pub(super) async fn root_pub(State(network): State<Arc<Network>>) -> String {
    hex::encode(network.identity.root)
}
