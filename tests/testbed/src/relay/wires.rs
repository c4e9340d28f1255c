//! The way of a call from its sender to the target and back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::sync::{RwLock, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Away;
use super::batch::Left;
use super::call::{Call, On};
use super::errors::{self, Service};
use super::fate::{Fate, Reply};
use super::line::Cut;
use super::meter::{self, Bill};
use super::rules::{Held, Hold, Rule, Rules, Script, Verdict};

#[derive(Debug)]
pub(crate) struct Wires {
    client: reqwest::Client,
    target: String,
    rules: Rules,
    away: watch::Sender<Option<Away>>,
    /// Cancelled to end all open connections: when the relay ends, or the target refuses.
    lines: Mutex<CancellationToken>,
    stop: CancellationToken,
    tally: Mutex<BTreeMap<String, u64>>,
    /// The calls that came, where they are noted.
    calls: Mutex<Option<Vec<Call>>>,
    pub(crate) failed: AtomicU64,
    bill: Option<Mutex<Bill>>,
    /// Held for reading by each call that may have taken effect and is not in the bill yet.
    charging: RwLock<()>,
}

impl Wires {
    pub(crate) fn to(target: &str, meters: bool, stop: CancellationToken) -> Self {
        // The first call of the process wins; it is the same provider each time.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build();
        Self {
            client: client.expect("a client"),
            target: target.trim_end_matches('/').to_owned(),
            rules: Rules::default(),
            away: watch::Sender::new(None),
            lines: Mutex::new(stop.child_token()),
            stop,
            tally: Mutex::default(),
            calls: Mutex::default(),
            failed: AtomicU64::new(0),
            bill: meters.then(Mutex::default),
            charging: RwLock::default(),
        }
    }

    pub(crate) fn take_away(&self, how: Away) {
        self.away.send_replace(Some(how));
        if how == Away::Refused {
            self.cut_all();
        }
    }

    pub(crate) fn give_back(&self) {
        self.away.send_replace(None);
    }

    /// The token that ends a new connection; `None` while the target refuses.
    pub(crate) fn connected(&self) -> Option<CancellationToken> {
        if *self.away.borrow() == Some(Away::Refused) {
            return None;
        }
        Some(self.lines.lock().expect("no holder panics").child_token())
    }

    /// Breaks all connections that are open.
    pub(crate) fn cut_all(&self) {
        let mut lines = self.lines.lock().expect("no holder panics");
        lines.cancel();
        *lines = self.stop.child_token();
    }

    pub(crate) fn add(&self, on: On, script: Script) -> Rule {
        self.rules.add(on, script)
    }

    pub(crate) fn hold(&self, on: On, after: bool) -> Hold {
        let (sender, receiver) = oneshot::channel();
        let sender = Some(sender);
        self.rules.add(on, Script::Hold { sender, after });
        Hold(receiver)
    }

    pub(crate) fn calm(&self) {
        self.rules.clear();
    }

    pub(crate) fn record(&self) {
        self.calls
            .lock()
            .expect("no holder panics")
            .get_or_insert_default();
    }

    pub(crate) fn take_calls(&self) -> Vec<Call> {
        let mut calls = self.calls.lock().expect("no holder panics");
        calls.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn tally(&self) -> BTreeMap<String, u64> {
        self.tally.lock().expect("no holder panics").clone()
    }

    pub(crate) fn take_bill(&self) -> Bill {
        let bill = self.bill.as_ref();
        bill.map_or_else(Bill::new, |bill| {
            std::mem::take(&mut *bill.lock().expect("no holder panics"))
        })
    }

    pub(crate) async fn settled_bill(&self) -> Bill {
        let _settled = self.charging.write().await;
        self.take_bill()
    }

    /// Waits until the target is not away in one of these ways.
    async fn reachable(&self, ways: &[Away]) {
        let mut away = self.away.subscribe();
        // The sender lives as long as this.
        let _ = away
            .wait_for(|how| !how.is_some_and(|how| ways.contains(&how)))
            .await;
    }
}

/// A request as it came.
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    service: Service,
    call: Call,
    cut: Cut,
    /// Whether it goes on though its sender has gone.
    outlives: Arc<AtomicBool>,
}

/// Ends the work for a call when its sender goes, unless the work is to outlive the sender.
struct Work {
    task: JoinHandle<Response>,
    outlives: Arc<AtomicBool>,
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.outlives.load(Ordering::SeqCst) {
            self.task.abort();
        }
    }
}

/// Takes a request to its end.
pub(crate) async fn pass(
    State(wires): State<Arc<Wires>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|name| name.to_str().ok());
    let request = Request {
        service: Service::of(target.unwrap_or_default()),
        call: Call::of(&headers, &body),
        method,
        uri,
        headers,
        body,
        cut,
        // Decided before the call counts as one that has come: its sender may go from then on.
        outlives: Arc::new(AtomicBool::new(*wires.away.borrow() == Some(Away::Late))),
    };
    *wires
        .tally
        .lock()
        .expect("no holder panics")
        .entry(request.call.operation.clone())
        .or_default() += 1;
    if let Some(calls) = &mut *wires.calls.lock().expect("no holder panics") {
        calls.push(request.call.clone());
    }
    let outlives = request.outlives.clone();
    let stop = wires.stop.clone();
    let task = tokio::spawn(async move {
        tokio::select! {
            response = wires.serve(request) => response,
            () = stop.cancelled() => StatusCode::BAD_GATEWAY.into_response(),
        }
    });
    let mut work = Work { task, outlives };
    match (&mut work.task).await {
        Ok(response) => response,
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

impl Wires {
    async fn serve(&self, mut request: Request) -> Response {
        self.reachable(&[Away::Stalled, Away::Late]).await;
        let mut held_answer = None;
        let fate = match self.rules.verdict(&request.call) {
            None => Fate::PASS,
            Some(Verdict::Fate(fate)) => fate,
            Some(Verdict::Hold { sender, after }) => {
                request.outlives.store(true, Ordering::SeqCst);
                let (release, released) = oneshot::channel();
                let call = request.call.clone();
                // A test that no longer waits for the call lets it pass: `released` ends at once.
                let held = Held { call, release };
                if after {
                    held_answer = Some((sender, held, released));
                    Fate::PASS
                } else {
                    let _ = sender.send(held);
                    released.await.unwrap_or(Fate::PASS)
                }
            }
        };
        tokio::time::sleep(fate.delay).await;
        let mut reply = fate.reply;
        let is_never_said = match reply {
            Reply::Conflict => request.service.conflict(&request.call).is_none(),
            Reply::Left => request.service.left(&request.call).is_none(),
            _ => false,
        };
        if is_never_said {
            reply = Reply::Real;
        }
        let mut left = None;
        if reply == Reply::Unread {
            left = Left::of(&mut request.call);
            match &left {
                Some(_) => request.body = request.call.body.clone().into(),
                None => reply = Reply::Real,
            }
        }
        let mut answer = None;
        let has_rest = left.as_ref().is_some_and(|left| left.has_rest);
        if fate.takes_effect || reply == Reply::Real || has_rest {
            answer = Some(self.forward(&request).await);
        }
        if let Some((sender, held, released)) = held_answer {
            let _ = sender.send(held);
            let fate = released.await.unwrap_or(Fate::PASS);
            tokio::time::sleep(fate.delay).await;
            reply = fate.reply;
        }
        // The answer to a call from before the target was away may be lost on its way back.
        self.reachable(&[Away::Stalled, Away::Late, Away::Deaf]).await;
        if reply != Reply::Real {
            self.failed.fetch_add(1, Ordering::SeqCst);
        }
        let service = request.service;
        match reply {
            Reply::Real => answer.unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response()),
            Reply::Throttled => service.throttled(),
            Reply::Conflict => service
                .conflict(&request.call)
                .unwrap_or_else(|| service.failed()),
            Reply::Left => service.left(&request.call).unwrap_or_else(|| service.failed()),
            Reply::Failed => service.failed(),
            Reply::Garbled => errors::garbled(),
            Reply::Empty => errors::empty(),
            Reply::Unread => match left {
                Some(left) => left.told_with(answer).await,
                None => answer.unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response()),
            },
            Reply::Code(status, code) => service.error(status, code, json!({})),
            Reply::Silence => std::future::pending().await,
            Reply::Broken => {
                request.cut.0.cancel();
                std::future::pending().await
            }
        }
    }

    /// The target's own answer.
    async fn forward(&self, request: &Request) -> Response {
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut body = request.body.clone();
        let metered = self.bill.is_some() && meter::is_metered(&request.call);
        let mut charging = None;
        if metered {
            body = meter::asking(&request.call).into();
            charging = Some(self.charging.read().await);
        }
        let mut headers = request.headers.clone();
        for name in [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let url = format!("{}{path}", self.target);
        let sent = self
            .client
            .request(request.method.clone(), url)
            .headers(headers)
            .body(body)
            .send()
            .await;
        let Ok(answer) = sent else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let Ok(bytes) = answer.bytes().await else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        if metered && let Some(bill) = &self.bill {
            let charge = meter::charge(&request.call, status, &bytes);
            *bill
                .lock()
                .expect("no holder panics")
                .entry(meter::subject(&request.call))
                .or_default() += charge;
        }
        drop(charging);
        for name in [CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}
