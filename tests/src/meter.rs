//! Stands before a table and adds up the capacity that its requests consume, by what they
//! are about.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Consumed capacity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units {
    /// Write units.
    pub writes: u64,
    /// Read units, doubled: an eventually consistent read takes half a unit.
    pub half_reads: u64,
}

impl AddAssign for Units {
    fn add_assign(&mut self, other: Self) {
        self.writes += other.writes;
        self.half_reads += other.half_reads;
    }
}

/// Some requests and what they consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Charge {
    /// The requests.
    pub calls: u64,
    /// What they consumed.
    pub units: Units,
}

impl AddAssign for Charge {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.units += other.units;
    }
}

/// Charges by the part of the partition key before its first `#`; by the operation, where a
/// request has no single key.
pub type Bill = BTreeMap<String, Charge>;

/// A proxy before a table.
#[derive(Debug)]
pub struct Meter {
    /// Where it answers.
    pub endpoint: String,
    wires: Arc<Wires>,
    _server: DropGuard,
}

#[derive(Debug)]
struct Wires {
    client: reqwest::Client,
    endpoint: String,
    bill: Mutex<Bill>,
}

impl Meter {
    /// Stands before the table at `endpoint`.
    pub async fn before(endpoint: &str) -> Self {
        let wires = Arc::new(Wires {
            client: crate::api::http(),
            endpoint: endpoint.to_owned(),
            bill: Mutex::default(),
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

    /// What was consumed since this was last asked.
    pub fn take(&self) -> Bill {
        std::mem::take(&mut *self.wires.bill.lock().expect("no holder panics"))
    }
}

/// The sum of what is about the prefixes that count.
pub fn sum(bill: &Bill, counts: impl Fn(&str) -> bool) -> Charge {
    let mut sum = Charge::default();
    for (_, charge) in bill.iter().filter(|(prefix, _)| counts(prefix)) {
        sum += *charge;
    }
    sum
}

const READS: [&str; 5] = ["GetItem", "Query", "BatchGetItem", "TransactGetItems", "Scan"];
const WRITES: [&str; 5] = [
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "TransactWriteItems",
    "BatchWriteItem",
];

async fn pass(State(wires): State<Arc<Wires>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|name| name.to_str().ok());
    let operation = target.unwrap_or_default().rsplit('.').next().unwrap_or_default();
    let mut asked: Value = serde_json::from_slice(&body).expect("the SDK speaks JSON");
    let is_metered = READS.contains(&operation) || WRITES.contains(&operation);
    if is_metered {
        asked["ReturnConsumedCapacity"] = json!("TOTAL");
    }
    let mut request = wires.client.post(&wires.endpoint).body(asked.to_string());
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
    if is_metered {
        let told: Value = serde_json::from_slice(&answered).unwrap_or_default();
        let units = consumed(operation, status, &told);
        *wires
            .bill
            .lock()
            .expect("no holder panics")
            .entry(subject(operation, &asked))
            .or_default() += Charge { calls: 1, units };
    }
    let kind = [("content-type", "application/x-amz-json-1.0")];
    (status, kind, answered).into_response()
}

fn consumed(operation: &str, status: StatusCode, told: &Value) -> Units {
    let is_read = READS.contains(&operation);
    if !status.is_success() {
        // A write whose condition does not hold is charged as a write all the same.
        let writes = u64::from(!is_read);
        return Units {
            writes,
            half_reads: 0,
        };
    }
    let capacity = &told["ConsumedCapacity"];
    let parts = capacity.as_array().cloned().unwrap_or(vec![capacity.clone()]);
    let half_units = parts.iter().map(|part| {
        let units = part["CapacityUnits"].as_f64().expect("the engine tells it");
        format!("{:.0}", units * 2.0).parse::<u64>().expect("a number")
    });
    let half_units: u64 = half_units.sum();
    if is_read {
        Units {
            writes: 0,
            half_reads: half_units,
        }
    } else {
        Units {
            writes: half_units / 2,
            half_reads: 0,
        }
    }
}

/// What a request is about.
fn subject(operation: &str, asked: &Value) -> String {
    let key = [
        &asked["Key"]["pk"]["S"],
        &asked["Item"]["pk"]["S"],
        &asked["ExpressionAttributeValues"][":pk"]["S"],
    ];
    let key = key.iter().find_map(|key| key.as_str());
    key.map_or_else(
        || operation.to_owned(),
        |key| key.split('#').next().unwrap_or_default().to_owned(),
    )
}
