//! `GET /health`: the process answers.

use serde::Serialize;

use crate::http::Reply;

#[derive(Serialize)]
pub struct Response {
    status: &'static str,
}

pub async fn handler() -> Reply<Response> {
    Reply::ok(Response { status: "ok" })
}
