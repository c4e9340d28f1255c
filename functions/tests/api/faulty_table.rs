//! Stands between the SDK and the embedded table, and fails as the service may: it throttles, has items in another
//! transaction, or answers 500, of which nobody can tell whether the request was executed. Every answer takes a while.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct FaultyTable {
    endpoint: String,
    wires: Arc<Wires>,
    _server: DropGuard,
}

struct Wires {
    client: reqwest::Client,
    endpoint: String,
    seed: u64,
    rage: AtomicBool,
    /// Requests that came while it raged.
    count: AtomicU64,
    /// Requests that did not get their answer.
    failed: AtomicU64,
    /// What is planned for the next requests of one kind.
    plan: Mutex<Plan>,
}

/// The fates of the next requests for an operation with a part in their bodies.
#[derive(Default)]
struct Plan {
    operation: &'static str,
    part: &'static str,
    fates: VecDeque<Fate>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// Not executed: too many requests.
    Throttled,
    /// Not executed: another transaction has the item.
    Conflict,
    /// Not executed, 500.
    Failed,
    /// Executed, 500.
    Lost,
}

impl FaultyTable {
    /// Before the engine at `endpoint`, calm.
    pub async fn before(endpoint: &str, seed: u64) -> Self {
        // The first call of the process wins; it is the same provider each time.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy();
        let wires = Arc::new(Wires {
            client: client.build().expect("a client"),
            endpoint: endpoint.to_owned(),
            seed,
            rage: AtomicBool::new(false),
            count: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            plan: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(wires.clone());
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
            wires,
            _server: stop.drop_guard(),
        }
    }

    /// A client's configuration, with shorter pauses between attempts than usual.
    pub fn sdk_config(&self) -> aws_config::SdkConfig {
        let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(10));
        let config = shared::aws::stand_in(&self.endpoint).into_builder();
        config.retry_config(retries).build()
    }

    /// From here on requests fail, or none does any more.
    pub fn rage(&self, rage: bool) {
        self.wires.rage.store(rage, Ordering::SeqCst);
    }

    /// How many requests did not get their answer.
    pub fn failed(&self) -> u64 {
        self.wires.failed.load(Ordering::SeqCst)
    }

    /// What becomes of the next requests for this operation with `part` in their bodies.
    pub fn plan<const N: usize>(&self, operation: &'static str, part: &'static str, fates: [Fate; N]) {
        *self.wires.plan.lock().expect("no holder panics") = Plan {
            operation,
            part,
            fates: fates.into(),
        };
    }

    /// Whether all that was planned has happened.
    pub fn is_done(&self) -> bool {
        self.wires.plan.lock().expect("no holder panics").fates.is_empty()
    }
}

impl Wires {
    /// What becomes of the next request, and how long it takes. One in four fails.
    fn fate(&self, operation: &str, body: &str) -> (Fate, Duration) {
        let mut plan = self.plan.lock().expect("no holder panics");
        if plan.operation == operation
            && body.contains(plan.part)
            && let Some(fate) = plan.fates.pop_front()
        {
            return (fate, Duration::ZERO);
        }
        if !self.rage.load(Ordering::SeqCst) {
            return (Fate::Answered, Duration::ZERO);
        }
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        let dice = Sha256::digest(format!("{} {count}", self.seed));
        let is_write = !matches!(operation, "GetItem" | "Query" | "Scan");
        let fate = match dice[0] % 100 {
            0..8 => Fate::Throttled,
            8..14 if is_write => Fate::Conflict,
            14..19 => Fate::Failed,
            19..25 => Fate::Lost,
            _ => Fate::Answered,
        };
        (fate, Duration::from_millis(5 + u64::from(dice[1] % 46)))
    }
}

async fn pass(State(wires): State<Arc<Wires>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|name| name.to_str().ok());
    let operation = target.unwrap_or_default().rsplit('.').next().unwrap_or_default();
    let (fate, latency) = wires.fate(operation, &String::from_utf8_lossy(&body));
    if fate != Fate::Answered {
        wires.failed.fetch_add(1, Ordering::SeqCst);
    }
    tokio::time::sleep(latency).await;
    match fate {
        Fate::Throttled => return error(400, "ProvisionedThroughputExceededException", json!({})),
        Fate::Conflict if operation == "TransactWriteItems" => {
            let asked: Value = serde_json::from_slice(&body).expect("the SDK speaks JSON");
            let mut reasons =
                vec![json!({"Code": "None"}); asked["TransactItems"].as_array().expect("a list").len()];
            reasons[0] =
                json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"});
            let reasons = json!({"CancellationReasons": reasons});
            return error(400, "TransactionCanceledException", reasons);
        }
        Fate::Conflict => return error(400, "TransactionConflictException", json!({})),
        Fate::Failed => return error(500, "InternalServerError", json!({})),
        Fate::Answered | Fate::Lost => {}
    }
    let mut request = wires.client.post(&wires.endpoint).body(body);
    for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let Ok(answer) = request.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let status = answer.status();
    let answered = answer.bytes().await.expect("a body");
    if fate == Fate::Lost {
        return error(500, "InternalServerError", json!({}));
    }
    let kind = [("content-type", "application/x-amz-json-1.0")];
    (status, kind, answered).into_response()
}

fn error(status: u16, code: &str, mut more: Value) -> Response {
    more["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    more["message"] = json!("a fault of the test's");
    let status = StatusCode::from_u16(status).expect("a status");
    let kind = [("content-type", "application/x-amz-json-1.0")];
    (status, kind, more.to_string()).into_response()
}
