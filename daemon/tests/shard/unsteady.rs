//! Stands between a daemon and its table, and does to each request what the test's rule says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It passes.
    Pass,
    /// It never arrives, and nobody is told.
    Lost,
    /// It takes effect, and its answer never arrives.
    Unanswered,
    /// It takes effect, and its answer waits for this.
    AnswerAfter(CancellationToken),
    /// The table fails.
    Refused,
}

/// A request, as far as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub operation: &'a str,
    pub body: &'a str,
}

impl Seen<'_> {
    pub fn is_beat(&self) -> bool {
        self.operation == "PutItem" && self.body.contains("daemons#")
    }

    pub fn is_take(&self) -> bool {
        self.operation == "PutItem" && self.body.contains("leases#")
    }

    pub fn is_release(&self) -> bool {
        self.operation == "UpdateItem" && self.body.contains("leases#")
    }

    pub fn is_look(&self) -> bool {
        self.operation == "Query" && self.body.contains("leases#")
    }
}

type Rule = Arc<dyn Fn(Seen<'_>) -> Fate + Send + Sync>;

pub struct Unsteady {
    pub endpoint: String,
    rule: Arc<Mutex<Rule>>,
    _server: DropGuard,
}

struct Wires {
    client: reqwest::Client,
    endpoint: String,
    rule: Arc<Mutex<Rule>>,
}

impl Unsteady {
    /// Before this endpoint; everything passes.
    pub async fn before(endpoint: &str) -> Self {
        // The first call of the process wins; it is the same provider each time.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Arc::new(|_| Fate::Pass)));
        let wires = Wires {
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            endpoint: endpoint.to_owned(),
            rule: rule.clone(),
        };
        let router = Router::new().fallback(pass).with_state(Arc::new(wires));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router) => served,
                () = stopped.cancelled() => Ok(()),
            }
        });
        Self {
            endpoint: format!("http://{address}"),
            rule,
            _server: stop.drop_guard(),
        }
    }

    /// From now on this decides.
    pub fn rule(&self, rule: impl Fn(Seen<'_>) -> Fate + Send + Sync + 'static) {
        *self.rule.lock().expect("no holder panics") = Arc::new(rule);
    }

    /// From now on everything passes.
    pub fn be_steady(&self) {
        self.rule(|_| Fate::Pass);
    }
}

async fn pass(State(wires): State<Arc<Wires>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|name| name.to_str().ok());
    let operation = target
        .and_then(|name| name.rsplit('.').next())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    let rule = wires.rule.lock().expect("no holder panics").clone();
    let fate = rule(Seen {
        operation,
        body: &text,
    });
    let kind = [("content-type", "application/x-amz-json-1.0")];
    match fate {
        Fate::Lost => std::future::pending().await,
        Fate::Refused => {
            let error = r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"as the test wants it"}"#;
            return (StatusCode::INTERNAL_SERVER_ERROR, kind, error).into_response();
        }
        Fate::Pass | Fate::Unanswered | Fate::AnswerAfter(_) => {}
    }
    let mut request = wires.client.post(&wires.endpoint).body(body.clone());
    for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let Ok(answer) = request.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, answered) = (answer.status(), answer.bytes().await.expect("a body"));
    match fate {
        Fate::Unanswered => std::future::pending().await,
        Fate::AnswerAfter(released) => released.cancelled().await,
        Fate::Pass | Fate::Lost | Fate::Refused => {}
    }
    (status, kind, answered).into_response()
}
