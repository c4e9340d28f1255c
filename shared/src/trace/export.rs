//! The way of records to a collector: a bounded queue, and one task that sends what is in it.
//!
//! Whoever ends a span puts its record into the queue and goes on. Where the queue is full, or the collector does not take a batch,
//! records are dropped and counted: nothing waits for them, and no batch is sent twice.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::warn;

use super::otlp;
use super::span::Record;
use crate::config::Traces;
use crate::reach::client::USER_AGENT;
use crate::telemetry::chain;

/// How many records may wait. One takes about a kilobyte.
const WAITING: usize = 2_048;

/// How many go in one request.
const BATCH: usize = 512;

/// How long a record waits for others to go with it.
const GATHER: Duration = Duration::from_secs(5);

/// How long a request may take, with its answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long nobody waits for a collector after it was away.
const AWAY: Duration = Duration::from_secs(30);

/// The shortest time between two log lines that say so.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// How much of an answer is read, so that its connection can be used again, in bytes.
const READ: usize = 64 * 1_024;

/// What became of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// The collector has them.
    pub exported: u64,
    /// They were dropped: too many waited, or the collector did not take them.
    pub dropped: u64,
}

/// What is known of a collector.
#[derive(Debug, Default)]
struct State {
    exported: AtomicU64,
    dropped: AtomicU64,
    /// Records that are in the queue or on their way.
    waiting: AtomicUsize,
    /// Until when nobody waits for it.
    away_until: Mutex<Option<Instant>>,
}

impl State {
    fn is_away(&self) -> bool {
        let until = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn set_away(&self, is_away: bool) {
        let mut until = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = is_away.then(|| Instant::now() + AWAY);
    }

    fn drop_some(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }
}

#[derive(Debug)]
enum Item {
    Record(Box<Record>),
    /// Send what came before.
    Flush(oneshot::Sender<()>),
}

/// The queue before a collector. Clones are of the same one.
#[derive(Debug, Clone)]
pub struct Queue {
    items: mpsc::Sender<Item>,
    state: Arc<State>,
}

impl Queue {
    /// A queue before this collector, and a task that empties it. The task ends when the queue is gone.
    pub(super) fn start(settings: &Traces, service: &str) -> reqwest::Result<Self> {
        // Another part of the process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(USER_AGENT)
            .build()?;
        let (items, arrivals) = mpsc::channel(WAITING);
        let state = Arc::<State>::default();
        let exporter = Exporter {
            client,
            url: settings.endpoint.clone(),
            headers: headers(settings),
            service: settings.service.clone().unwrap_or_else(|| service.to_owned()),
            state: Arc::clone(&state),
            batch: Vec::new(),
            told: None,
        };
        tokio::spawn(exporter.run(arrivals));
        Ok(Self { items, state })
    }

    /// Puts a record into it, or drops it.
    pub(super) fn put(&self, record: Record) {
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        if self.items.try_send(Item::Record(Box::new(record))).is_err() {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
            self.state.drop_some(1);
        }
    }

    /// Sends what is in it, and waits for that as long as `patience` at most.
    pub(super) async fn flush(&self, patience: Duration) {
        if self.state.waiting.load(Ordering::Relaxed) == 0 || self.state.is_away() {
            return;
        }
        let (sent, all_sent) = oneshot::channel();
        if self.items.try_send(Item::Flush(sent)).is_err() {
            // It is full: what is in it is being sent.
            return;
        }
        if timeout(patience, all_sent).await.is_err() {
            self.state.set_away(true);
        }
    }

    /// What became of what was put into it.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            exported: self.state.exported.load(Ordering::Relaxed),
            dropped: self.state.dropped.load(Ordering::Relaxed),
        }
    }
}

/// The headers of each request. They were checked when they were read.
fn headers(settings: &Traces) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let value = HeaderValue::from_str(value.expose());
        if let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

struct Exporter {
    client: Client,
    url: Url,
    headers: HeaderMap,
    service: String,
    state: Arc<State>,
    batch: Vec<Record>,
    /// When the log said last that the collector does not take traces.
    told: Option<Instant>,
}

impl Exporter {
    async fn run(mut self, mut arrivals: mpsc::Receiver<Item>) {
        let mut due: Option<Instant> = None;
        loop {
            let arrival = match due {
                Some(due) => timeout_at(due, arrivals.recv()).await.ok(),
                None => Some(arrivals.recv().await),
            };
            let (flush, is_over) = match arrival {
                Some(Some(Item::Record(record))) => {
                    self.batch.push(*record);
                    if self.batch.len() < BATCH {
                        due = due.or_else(|| Some(Instant::now() + GATHER));
                        continue;
                    }
                    (None, false)
                }
                Some(Some(Item::Flush(sent))) => (Some(sent), false),
                Some(None) => (None, true),
                // It is time.
                None => (None, false),
            };
            self.export().await;
            due = None;
            if let Some(sent) = flush {
                // Whoever has waited for too long has gone.
                let _ = sent.send(());
            }
            if is_over {
                return;
            }
        }
    }

    /// Sends the batch, once.
    async fn export(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return;
        }
        let body = otlp::request(&self.service, &batch).to_string();
        let sent = timeout(DEADLINE, self.post(body)).await;
        let refused = match sent {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some("no answer in time".to_owned()),
        };
        if refused.is_none() {
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            self.state.exported.fetch_add(count, Ordering::Relaxed);
        } else {
            self.state.drop_some(batch.len());
        }
        self.state.set_away(refused.is_some());
        self.state.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        if let Some(reason) = refused {
            self.tell(&reason);
        }
    }

    async fn post(&self, body: String) -> Result<(), String> {
        let request = self.client.post(self.url.clone());
        let answer = request.headers(self.headers.clone()).body(body).send().await;
        // The URL may have something that no log is to have.
        let mut answer = answer.map_err(|error| chain(&error.without_url()))?;
        let status = answer.status();
        let mut left = READ;
        while left > 0
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            left = left.saturating_sub(chunk.len());
        }
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("it answered {}", status.as_u16()))
        }
    }

    /// Says in the log that the collector does not take traces, once a minute at most.
    fn tell(&mut self, reason: &str) {
        let now = Instant::now();
        if self.told.is_some_and(|told| now - told < TOLD_EVERY) {
            return;
        }
        self.told = Some(now);
        let dropped = self.state.dropped.load(Ordering::Relaxed);
        warn!(reason, dropped, "traces are not taken by the collector");
    }
}
