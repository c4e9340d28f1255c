//! An endpoint of a webhook: it takes every event, and checks whose it is with a library that we did not write.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use standardwebhooks::Webhook;
use testbed::served::Served;
use testbed::wait::until;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
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
}

impl Hook {
    /// One that takes everything.
    pub async fn start() -> Self {
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let ears = Arc::clone(&heard);
        let take = async move |headers: HeaderMap, body: Bytes| {
            ears.lock().expect("whole").push(Heard { headers, body });
            StatusCode::NO_CONTENT
        };
        Self {
            server: Served::start(Router::new().route("/hook", post(take))).await,
            heard,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}/hook", self.server.url())
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

    /// Waits until so many events that are wanted have come.
    pub async fn until(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        until("the events", async || {
            let events = self.events(&wanted);
            (events.len() >= count).then_some(events)
        })
        .await
    }
}
