//! The table of this function's routes.

use axum::Router;
use axum::routing::{get, post};

use super::{login, logout, me, refresh, register};
use crate::state::AppState;

/// Every route of this function.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/auth/register", post(register::handler))
        .route("/api/auth/login", post(login::handler))
        .route("/api/auth/refresh", post(refresh::handler))
        .route("/api/auth/logout", post(logout::handler))
        .route("/api/auth/me", get(me::handler))
}
