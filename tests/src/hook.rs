//! An endpoint of a webhook: it hears every event, and checks whose it is with a library that we did not write.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use testbed::served::Served;
use testbed::wait::until;
use tokio::time::Instant;

use crate::flow::Paired;
use crate::phones::Phones;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When it was there.
    pub at: Instant,
}

impl Heard {
    /// The event.
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an event is JSON")
    }

    /// Whether it is signed with this secret, and now.
    pub fn is_genuine(&self, secret: &str) -> bool {
        let verifier = Webhook::new(secret).expect("a secret");
        verifier.verify(&self.body, &self.headers).is_ok()
    }
}

/// An endpoint on this machine.
#[derive(Debug)]
pub struct Hook {
    server: Served,
    heard: Arc<Mutex<Vec<Heard>>>,
    status: Arc<AtomicU16>,
}

impl Hook {
    /// One that takes everything.
    pub async fn start() -> Self {
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let status = Arc::new(AtomicU16::new(204));
        let (ears, answer) = (Arc::clone(&heard), Arc::clone(&status));
        let take = async move |headers: HeaderMap, body: Bytes| {
            let at = Instant::now();
            ears.lock().expect("whole").push(Heard { headers, body, at });
            StatusCode::from_u16(answer.load(Ordering::SeqCst)).expect("a status")
        };
        Self {
            server: Served::start(Router::new().route("/hook", post(take))).await,
            heard,
            status,
        }
    }

    /// From now on it answers this.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Makes it the webhook of an instance, for events of these types, with what else the request says of it, and waits until
    /// it was told of a text. Answers the secret.
    pub async fn attach(&self, paired: &Paired, phones: &Phones, events: Value, more: &Value) -> String {
        let mut body = json!({"url": self.url(), "events": events});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let path = format!("/api/instances/{}/webhook", paired.instance);
        let set = paired.user.put(&path, body).await.data(200);
        let secret = set["secret"].as_str().expect("a secret").to_owned();
        let mut tries = 0;
        until("the first event", async || {
            tries += 1;
            let text = format!("are you there {tries}");
            phones.send(&paired.other, &paired.own, &text).await;
            (!self.heard().is_empty()).then_some(())
        })
        .await;
        // It is in the same chat: what was wanted before it has come.
        phones.send(&paired.other, &paired.own, "there you are").await;
        self.until(1, |event| event["data"]["text"] == "there you are")
            .await;
        secret
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}/hook", self.server.url())
    }

    /// How much came.
    pub fn count(&self) -> usize {
        self.heard.lock().expect("whole").len()
    }

    /// What came, in its order.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("whole").clone()
    }

    /// The events that came and are wanted, in their order.
    pub fn events(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let events = self.heard().into_iter().map(|heard| heard.event());
        events.filter(wanted).collect()
    }

    /// What messages say that were told of and are wanted, in their order.
    pub fn texts(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let texts = self.heard().into_iter().filter_map(|heard| {
            let text = heard.event()["data"]["text"].as_str()?.to_owned();
            wanted(&text).then_some(text)
        });
        texts.collect()
    }

    /// Waits until so many events that are wanted have come.
    pub async fn until(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        until("the events", async || {
            let events = self.events(&wanted);
            (events.len() >= count).then_some(events)
        })
        .await
    }
}
