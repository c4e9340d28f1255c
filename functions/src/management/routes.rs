//! The table of this function's routes.

use axum::Router;
use axum::routing::{get, patch, post};

use super::instances::{
    connect, create, delete, disconnect, keys, list, logout, messages, qr, restart, show, stats, status,
    update,
};
use crate::state::AppState;

/// Every route of this function.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/instances", post(create::handler).get(list::handler))
        .route(
            "/api/instances/{instance}",
            get(show::handler).put(update::handler).delete(delete::handler),
        )
        .route("/api/instances/{instance}/status", get(status::handler))
        .route("/api/instances/{instance}/qr", get(qr::handler))
        .route("/api/instances/{instance}/connect", post(connect::handler))
        .route("/api/instances/{instance}/disconnect", post(disconnect::handler))
        .route("/api/instances/{instance}/logout", post(logout::handler))
        .route("/api/instances/{instance}/restart", post(restart::handler))
        .route("/api/instances/{instance}/stats", get(stats::handler))
        .route("/api/instances/{instance}/messages", get(messages::handler))
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
