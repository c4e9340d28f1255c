//! What every function answers about itself: that it runs, whether it can do its work, and which version it is.

mod health;
mod ready;
mod version;

use axum::Router;
use axum::routing::get;

use crate::openapi::Operation;
use crate::state::AppState;

/// The routes of every function.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/health", get(health::handler))
        .route("/ready", get(ready::handler))
        .route("/api/version", get(version::handler))
}

/// What the document tells of them.
pub fn operations() -> Vec<Operation> {
    vec![health::operation(), ready::operation(), version::operation()]
}
