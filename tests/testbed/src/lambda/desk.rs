//! The Runtime API (AWS, "Using the Lambda runtime API").

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use chrono::TimeDelta;
use serde_json::Value;
use shared::clock::{Clock as _, SystemClock};
use tokio::sync::{mpsc, oneshot};

use super::Told;

/// How many events wait for the function.
const WAITING: usize = 16;

/// The time that an invocation is given.
const TIMEOUT: TimeDelta = TimeDelta::seconds(29);

/// What is between a test and a function.
#[derive(Debug)]
pub(super) struct Desk {
    hand_in: mpsc::Sender<Event>,
    take: tokio::sync::Mutex<mpsc::Receiver<Event>>,
    /// Who waits for the end of each invocation.
    waiting: Mutex<HashMap<String, oneshot::Sender<Told>>>,
    is_asked: AtomicBool,
    cannot_start: Mutex<Option<Value>>,
    number: AtomicU64,
}

#[derive(Debug)]
struct Event {
    id: String,
    text: String,
}

impl Default for Desk {
    fn default() -> Self {
        let (hand_in, take) = mpsc::channel(WAITING);
        Self {
            hand_in,
            take: tokio::sync::Mutex::new(take),
            waiting: Mutex::default(),
            is_asked: AtomicBool::new(false),
            cannot_start: Mutex::default(),
            number: AtomicU64::new(1),
        }
    }
}

impl Desk {
    pub async fn invoke(&self, event: &Value) -> Told {
        let number = self.number.fetch_add(1, Ordering::SeqCst);
        let id = format!("8476a536-e9f4-11e8-9739-{number:012}");
        let (tell, told) = oneshot::channel();
        self.waiting
            .lock()
            .expect("no holder panics")
            .insert(id.clone(), tell);
        let text = event.to_string();
        let handed = self.hand_in.send(Event { id, text }).await;
        handed.expect("the desk is there as long as its function");
        told.await.expect("the desk is there as long as its function")
    }

    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::SeqCst)
    }

    pub fn cannot_start(&self) -> Option<Value> {
        self.cannot_start.lock().expect("no holder panics").clone()
    }
}

pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{end}", post(end))
        .route("/2018-06-01/runtime/init/error", post(cannot_start))
        .layer(DefaultBodyLimit::disable())
        .with_state(desk)
}

async fn next(State(desk): State<Arc<Desk>>) -> Response {
    desk.is_asked.store(true, Ordering::SeqCst);
    let event = desk.take.lock().await.recv().await;
    let Some(Event { id, text }) = event else {
        return StatusCode::GONE.into_response();
    };
    let deadline = (SystemClock.now() + TIMEOUT).timestamp_millis();
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:under-test";
    let trace = "Root=1-67e5a1c0-0123456789abcdef01234567;Parent=53995c3f42cd8ad8;Sampled=0";
    let headers = [
        (CONTENT_TYPE.as_str(), "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", arn.to_owned()),
        ("lambda-runtime-trace-id", trace.to_owned()),
    ];
    (headers, text).into_response()
}

async fn end(
    State(desk): State<Arc<Desk>>,
    Path((id, end)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let Ok(said) = serde_json::from_slice(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    let told = match end.as_str() {
        "response" => Told::Response(said),
        "error" => Told::Error(said),
        _ => return StatusCode::NOT_FOUND,
    };
    let waiting = desk.waiting.lock().expect("no holder panics").remove(&id);
    let Some(waiting) = waiting else {
        return StatusCode::FORBIDDEN;
    };
    // The test may have given up.
    let _ = waiting.send(told);
    StatusCode::ACCEPTED
}

async fn cannot_start(State(desk): State<Arc<Desk>>, body: Bytes) -> StatusCode {
    let said = serde_json::from_slice(&body).ok();
    *desk.cannot_start.lock().expect("no holder panics") = said;
    StatusCode::ACCEPTED
}
