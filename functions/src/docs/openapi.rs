//! `GET /api/openapi.json`: the document itself, without an envelope around it.

use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

use crate::endpoint::Endpoint;
use crate::openapi::Tag;

/// `document` is the document as JSON: the floor above puts it together.
pub fn endpoint<S: Clone + Send + Sync + 'static>(document: fn() -> &'static str) -> Endpoint<S> {
    Endpoint::new(
        Method::GET,
        "/api/openapi.json",
        "getOpenApi",
        move || async move { handler(document()) },
    )
    .about(Tag::Operations, "The OpenAPI document")
    .answers_plain("application/json")
}

pub fn handler(document: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
