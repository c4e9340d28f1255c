//! The table of this function's routes.

use axum::Router;
use axum::routing::{get, patch, post};

use super::audit_logs;
use super::instances::{connect, create, keys, list, qr, show, status};
use crate::state::AppState;

/// Every route of this function.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/audit-logs", get(audit_logs::handler))
        .route("/api/instances", post(create::handler).get(list::handler))
        .route("/api/instances/{instance}", get(show::handler))
        .route("/api/instances/{instance}/status", get(status::handler))
        .route("/api/instances/{instance}/qr", get(qr::handler))
        .route("/api/instances/{instance}/connect", post(connect::handler))
        .route(
            "/api/instances/{instance}/keys",
            post(keys::create::handler).get(keys::list::handler),
        )
        .route(
            "/api/instances/{instance}/keys/{key}",
            patch(keys::update::handler).delete(keys::revoke::handler),
        )
        .route(
            "/api/instances/{instance}/keys/{key}/rotate",
            post(keys::rotate::handler),
        )
}
