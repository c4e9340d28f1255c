//! `GET /health`: the process answers.

use axum::http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Reply;
use crate::openapi::{Operation, Tag};

#[derive(Serialize, ToSchema)]
pub struct Response {
    #[schema(example = "ok")]
    status: &'static str,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::GET, "/health", "getHealth", handler)
        .about(Tag::Operations, "Answers while the process does")
}

pub async fn handler() -> Reply<Response> {
    Reply::ok(Response { status: "ok" })
}
