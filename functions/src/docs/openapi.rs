//! `GET /api/openapi.json`: the document itself, without an envelope around it.

use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

use crate::endpoint::Endpoint;
use crate::openapi::Tag;
use crate::service;

pub fn endpoint() -> Endpoint {
    Endpoint::new(Method::GET, "/api/openapi.json", "getOpenApi", handler)
        .about(Tag::Operations, "The OpenAPI document")
        .answers_plain("application/json")
}

pub async fn handler() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        service::document_json(),
    )
        .into_response()
}
