//! `GET /api/version`: which version answers.

use axum::http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::Reply;
use crate::openapi::Tag;

#[derive(Serialize, ToSchema)]
pub struct Response {
    #[schema(example = "0.1.0")]
    version: &'static str,
}

pub fn endpoint<S: Clone + Send + Sync + 'static>() -> Endpoint<S> {
    Endpoint::new(Method::GET, "/api/version", "getVersion", handler)
        .about(Tag::Operations, "Tells which version answers")
}

pub async fn handler() -> Reply<Response> {
    Reply::ok(Response {
        version: env!("CARGO_PKG_VERSION"),
    })
}
