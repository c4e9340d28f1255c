//! The table of this function's routes.

use axum::Router;
use axum::routing::{get, post};

use super::instances::{connect, create, keys, list, qr, show, status};
use crate::state::AppState;

/// Every route of this function.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/instances", post(create::handler).get(list::handler))
        .route("/api/instances/{instance}", get(show::handler))
        .route("/api/instances/{instance}/status", get(status::handler))
        .route("/api/instances/{instance}/qr", get(qr::handler))
        .route("/api/instances/{instance}/connect", post(connect::handler))
        .route("/api/instances/{instance}/keys", post(keys::create::handler))
}
