//! `GET /health`: the process answers.

use axum::http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::Reply;
use crate::openapi::Tag;

#[derive(Serialize, ToSchema)]
pub struct Response {
    #[schema(example = "ok")]
    status: &'static str,
}

pub fn endpoint<S: Clone + Send + Sync + 'static>() -> Endpoint<S> {
    Endpoint::new(Method::GET, "/health", "getHealth", handler)
        .about(Tag::Operations, "Answers while the process does")
}

pub async fn handler() -> Reply<Response> {
    Reply::ok(Response { status: "ok" })
}
