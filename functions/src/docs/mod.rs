//! The API's documentation: the OpenAPI document, and a page that shows it. One function of the deployment serves them:
//! the page's files are a megabyte of its binary.

mod openapi;
mod page;

use axum::Router;
use axum::routing::get;

use crate::openapi::Operation;
use crate::state::AppState;

/// The routes of the documentation.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/openapi.json", get(openapi::handler))
        .route("/api/docs", get(page::handler))
        .route("/api/docs/{file}", get(page::file))
}

/// What the document tells of them.
pub fn operations() -> Vec<Operation> {
    vec![openapi::operation(), page::operation(), page::file_operation()]
}
