//! The table of this function's routes.

use axum::Router;
use axum::routing::{get, post};

use super::instance::info;
use super::messages::{show, text};
use super::stats;
use crate::openapi::Operation;
use crate::state::AppState;

/// Every route of this function.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/messages/text", post(text::handler))
        .route("/api/messages/{message}", get(show::handler))
        .route("/api/instance/info", get(info::handler))
        .route("/api/stats", get(stats::handler))
}

/// What the document tells of them.
pub fn operations() -> Vec<Operation> {
    vec![
        text::operation(),
        show::operation(),
        info::operation(),
        stats::operation(),
    ]
}
