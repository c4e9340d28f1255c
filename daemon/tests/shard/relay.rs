//! Stands between a daemon and its table, and throttles what concerns messages and their
//! counters every so often: four requests of a kind in a row, which is one more than the
//! SDK tries.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Requests of a kind from the end of one burst to that of the next.
const PERIOD: u32 = 7;
const BURST: u32 = 4;

pub struct Relay {
    pub endpoint: String,
    throttled: Arc<AtomicU32>,
    _server: DropGuard,
}

struct Wires {
    client: reqwest::Client,
    endpoint: String,
    /// How many requests there were of each kind: operation, and what it is about.
    requests: Mutex<HashMap<(String, bool), u32>>,
    throttled: Arc<AtomicU32>,
}

impl Relay {
    pub async fn before(endpoint: &str) -> Self {
        // The first call of the process wins; it is the same provider each time.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let throttled = Arc::new(AtomicU32::new(0));
        let wires = Wires {
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            endpoint: endpoint.to_owned(),
            requests: Mutex::default(),
            throttled: throttled.clone(),
        };
        let router = Router::new().fallback(pass).with_state(Arc::new(wires));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
        });
        Self {
            endpoint: format!("http://{address}"),
            throttled,
            _server: stop.drop_guard(),
        }
    }

    /// How many requests it has throttled.
    pub fn throttled(&self) -> u32 {
        self.throttled.load(Ordering::Relaxed)
    }
}

async fn pass(State(wires): State<Arc<Wires>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body);
    if text.contains("msgs#") || text.contains("ctr#") {
        let operation = headers.get("x-amz-target").and_then(|name| name.to_str().ok());
        let kind = (operation.unwrap_or_default().to_owned(), text.contains("msgs#"));
        let number = {
            let mut requests = wires.requests.lock().expect("no holder panics");
            let count = requests.entry(kind).or_insert(0);
            *count += 1;
            *count - 1
        };
        if number % PERIOD >= PERIOD - BURST {
            wires.throttled.fetch_add(1, Ordering::Relaxed);
            let error = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"too much"}"#;
            let kind = [("content-type", "application/x-amz-json-1.0")];
            return (StatusCode::BAD_REQUEST, kind, error).into_response();
        }
    }
    let mut request = wires.client.post(&wires.endpoint).body(body.clone());
    for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    match request.send().await {
        Ok(answer) => {
            let status = answer.status();
            let kind = [("content-type", "application/x-amz-json-1.0")];
            (status, kind, answer.bytes().await.expect("a body")).into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
