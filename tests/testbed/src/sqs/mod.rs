//! SQS's protocol on 127.0.0.1 over any adapter of the queue port, most often the embedded one.
//!
//! With it the SQS adapter runs without AWS: several processes can share queues, and a fault relay fits between them
//! and their queues. It speaks the JSON protocol, as the adapter does, and words errors as SQS does.

mod answers;
mod operations;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;
use shared::queue::Queue;

use crate::served::Served;

/// A server, which ends when this is dropped.
#[derive(Debug)]
pub struct SqsStandIn {
    endpoint: String,
    _server: Served,
}

impl SqsStandIn {
    /// Serves these queues.
    pub async fn over(queue: Arc<dyn Queue>) -> Self {
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(queue);
        let server = Served::start(router).await;
        Self {
            endpoint: server.url(),
            _server: server,
        }
    }

    /// Where it answers.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

async fn answer(State(queue): State<Arc<dyn Queue>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|name| name.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix("AmazonSQS."));
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    match operations::execute(&*queue, operation.unwrap_or_default(), &asked).await {
        Ok(answer) => answers::success(&answer),
        Err(refusal) => refusal.into_response(),
    }
}
