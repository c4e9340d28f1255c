//! A collector of traces, which takes them by OTLP as JSON over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

use crate::served::Served;

/// A span that a collector has taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The name of its service.
    pub service: String,
    /// The id of its trace.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// Its parent's id, where it has a parent.
    pub parent: Option<String>,
    /// Its name.
    pub name: String,
    /// The number of its kind: 2 of a server, 3 of a client, 4 of a producer, 5 of a consumer.
    pub kind: u64,
    /// What is said of it, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it has failed.
    pub has_failed: bool,
}

/// A collector on this machine.
#[derive(Debug)]
pub struct Collector {
    server: Served,
    requests: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

impl Collector {
    /// One that takes everything.
    pub async fn start() -> Self {
        Self::answering(StatusCode::OK).await
    }

    /// One that takes nothing.
    pub async fn refusing() -> Self {
        Self::answering(StatusCode::SERVICE_UNAVAILABLE).await
    }

    async fn answering(status: StatusCode) -> Self {
        let requests: Arc<Mutex<Vec<(HeaderMap, String)>>> = Arc::default();
        let kept = Arc::clone(&requests);
        let take = async move |headers: HeaderMap, body: String| {
            kept.lock().expect("whole").push((headers, body));
            (status, "{}")
        };
        Self {
            server: Served::start(Router::new().route("/v1/traces", post(take))).await,
            requests,
        }
    }

    /// What a process is told as its collector.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The requests that came: their headers and bodies.
    pub fn requests(&self) -> Vec<(HeaderMap, String)> {
        self.requests.lock().expect("whole").clone()
    }

    /// All spans that came.
    pub fn spans(&self) -> Vec<Taken> {
        let bodies = self.requests().into_iter().map(|(_, body)| body);
        bodies.flat_map(|body| spans_of(&body)).collect()
    }
}

fn spans_of(body: &str) -> Vec<Taken> {
    let body: Value = serde_json::from_str(body).expect("a request is JSON");
    let mut spans = Vec::new();
    for resource in list(&body["resourceSpans"]) {
        let of_service = attributes(&resource["resource"]["attributes"]);
        for scope in list(&resource["scopeSpans"]) {
            for span in list(&scope["spans"]) {
                spans.push(Taken {
                    service: of_service["service.name"].clone(),
                    trace: text(&span["traceId"]),
                    id: text(&span["spanId"]),
                    parent: span["parentSpanId"].as_str().map(str::to_owned),
                    name: text(&span["name"]),
                    kind: span["kind"].as_u64().expect("a kind"),
                    attributes: attributes(&span["attributes"]),
                    has_failed: span["status"]["code"] == 2,
                });
            }
        }
    }
    spans
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn attributes(value: &Value) -> BTreeMap<String, String> {
    list(value)
        .iter()
        .map(|attribute| {
            let value = &attribute["value"];
            let value = value["stringValue"].as_str().or(value["intValue"].as_str());
            (text(&attribute["key"]), value.expect("a value").to_owned())
        })
        .collect()
}
