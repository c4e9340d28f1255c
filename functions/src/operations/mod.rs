//! What every function answers about itself, and the documentation of all of them.

mod docs;
mod health;
mod openapi;
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

/// The documentation, which one function of the deployment serves: the page's files are a megabyte of its binary.
pub fn documentation() -> Router<AppState> {
    Router::new()
        .route("/api/openapi.json", get(openapi::handler))
        .route("/api/docs", get(docs::page))
        .route("/api/docs/{file}", get(docs::file))
}

/// What the document tells of them.
pub fn operations() -> Vec<Operation> {
    vec![
        health::operation(),
        ready::operation(),
        version::operation(),
        openapi::operation(),
        docs::operation(),
        docs::file_operation(),
    ]
}
