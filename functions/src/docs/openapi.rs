//! `GET /api/openapi.json`: the document itself, without an envelope around it.

use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

use crate::openapi::{self, Operation, Tag};

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::GET, "/api/openapi.json", "getOpenApi", handler)
        .about(Tag::Operations, "The OpenAPI document")
        .answers_plain("application/json")
}

pub async fn handler() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::json()).into_response()
}
