//! The endpoint of all webhooks: it takes what is genuine, and notes what it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use standardwebhooks::Webhook;
use testbed::served::Served;

/// What was told of an instance.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// How often each event came, by its id.
    pub events: BTreeMap<String, usize>,
    /// The texts of messages that came in.
    pub texts: BTreeMap<String, Telling>,
    /// The states of messages that went out, by the messages' ids.
    pub states: BTreeMap<String, BTreeMap<String, Telling>>,
    /// The instances that the events named.
    pub instances: BTreeSet<String>,
    /// The types of events that the webhook is not for.
    pub unasked: BTreeSet<String>,
    /// How many requests were not signed as they should be.
    pub forged: usize,
}

/// How something was told.
#[derive(Debug, Clone, Default)]
pub struct Telling {
    /// The ids of the events that told it. The same is told under one id, however often.
    pub ids: BTreeSet<String>,
    /// The numbers on the chat's other side.
    pub people: BTreeSet<String>,
}

impl Telling {
    /// An event of this id tells it, of these names of a person.
    fn note(&mut self, id: &str, person: &Value) {
        self.ids.insert(id.to_owned());
        self.people.extend(person["phone"].as_str().map(str::to_owned));
    }
}

/// Where the webhook of an instance leads.
#[derive(Default)]
struct Receiver {
    verifier: OnceLock<Webhook>,
    told: Mutex<Told>,
}

/// An endpoint with a path for each instance.
pub struct Receivers {
    server: Served,
    receivers: Arc<Vec<Receiver>>,
}

impl Receivers {
    /// One for so many instances.
    pub async fn start(instances: usize) -> Self {
        let receivers: Arc<Vec<Receiver>> = Arc::new((0..instances).map(|_| Receiver::default()).collect());
        let hear = async |State(receivers): State<Arc<Vec<Receiver>>>,
                          Path(instance): Path<usize>,
                          headers: HeaderMap,
                          body: Bytes| {
            let receiver = receivers.get(instance);
            receiver.map_or(StatusCode::NOT_FOUND, |receiver| receiver.hear(&headers, &body))
        };
        let router = Router::new().route("/hook/{instance}", post(hear));
        Self {
            server: Served::start(router.with_state(Arc::clone(&receivers))).await,
            receivers,
        }
    }

    /// The URL of an instance's webhook.
    pub fn url(&self, instance: usize) -> String {
        format!("{}/hook/{instance}", self.server.url())
    }

    /// From now on it knows by which secret the events of an instance are signed.
    pub fn know(&self, instance: usize, secret: &str) {
        let verifier = Webhook::new(secret).expect("a secret");
        let set = self.receivers[instance].verifier.set(verifier);
        assert!(set.is_ok(), "an instance has one secret");
    }

    /// What was told of an instance so far.
    pub fn told(&self, instance: usize) -> Told {
        self.receivers[instance].told().clone()
    }
}

impl Receiver {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("no holder panics")
    }

    fn hear(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let verifier = self.verifier.get();
        let is_genuine = verifier.is_some_and(|verifier| verifier.verify(body, headers).is_ok());
        let event: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(id) = event["id"].as_str().filter(|_| is_genuine) else {
            self.told().forged += 1;
            return StatusCode::UNAUTHORIZED;
        };
        let data = &event["data"];
        let text = |name: &str| data[name].as_str().map(str::to_owned);
        let mut told = self.told();
        *told.events.entry(id.to_owned()).or_default() += 1;
        let instance = event["instance"]["id"].as_str();
        told.instances.insert(instance.unwrap_or_default().to_owned());
        match event["type"].as_str() {
            Some("message.received") => {
                if let Some(text) = text("text") {
                    told.texts.entry(text).or_default().note(id, &data["from"]);
                }
            }
            Some("message.status") => {
                if let (Some(message), Some(state)) = (text("id"), text("status")) {
                    let states = told.states.entry(message).or_default();
                    states.entry(state).or_default().note(id, &data["to"]);
                }
            }
            other => {
                told.unasked.insert(other.unwrap_or_default().to_owned());
            }
        }
        StatusCode::NO_CONTENT
    }
}
