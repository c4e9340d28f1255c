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
use axum::serve::ListenerExt as _;
use serde_json::Value;
use shared::queue::Queue;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server, which ends when this is dropped.
#[derive(Debug)]
pub struct SqsStandIn {
    endpoint: String,
    _server: DropGuard,
}

impl SqsStandIn {
    /// Serves these queues.
    pub async fn over(queue: Arc<dyn Queue>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(queue);
        let listener = listener.tap_io(|stream| {
            // An answer must not wait for the caller's delayed acknowledgement.
            let _ = stream.set_nodelay(true);
        });
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
        });
        Self {
            endpoint: format!("http://{address}"),
            _server: stop.drop_guard(),
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
