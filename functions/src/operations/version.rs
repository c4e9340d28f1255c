//! `GET /api/version`: which version answers.

use serde::Serialize;

use crate::http::Reply;

#[derive(Serialize)]
pub struct Response {
    version: &'static str,
}

pub async fn handler() -> Reply<Response> {
    Reply::ok(Response {
        version: env!("CARGO_PKG_VERSION"),
    })
}
