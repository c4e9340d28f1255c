//! `GET /api/version`: which version answers.

use axum::http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Reply;
use crate::openapi::{Operation, Tag};

#[derive(Serialize, ToSchema)]
pub struct Response {
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::GET, "/api/version", "getVersion", handler)
        .about(Tag::Operations, "Tells which version answers")
}

pub async fn handler() -> Reply<Response> {
    Reply::ok(Response {
        version: env!("CARGO_PKG_VERSION"),
    })
}
