//! Whoever sends messages through the API: one after the other, and each until it is accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::{Clock as _, SystemClock};
use shared::domain::message::State;
use shared::ids::{InstanceId, MessageId};
use shared::storage::messages::Messages;
use testbed::caller::Caller;
use tests::patient::{Granted, PAUSE, Wish};
use tokio::time::Instant;

use crate::bodies::Bodies;
use crate::plan::{BULK, Step, What, With};
use crate::rolling::Times;
use crate::traffic::Rounds;
use crate::world::World;

/// How soon a message for later is due.
const SOON: TimeDelta = TimeDelta::seconds(4);

/// What is said about a text.
const EMOJI: &str = "👍";

/// The time between two that are due later.
const APART: TimeDelta = TimeDelta::seconds(1);

/// What a recipient's phone has to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shows {
    /// A message of its own.
    Message,
    /// A message of its own, with its file.
    File,
    /// A message of its own, which says something of that one.
    About { of: MessageId },
    /// This text in the place of that message's.
    Edited { of: MessageId, text: String },
    /// That message is taken back.
    Revoked { of: MessageId },
}

/// A message that was accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub id: MessageId,
    pub what: What,
    pub shows: Shows,
    /// What is to be read on its recipient's phone, where something is to.
    pub text: Option<String>,
    /// When it is due, where that is later.
    pub due: Option<DateTime<Utc>>,
    /// Its place in the order of its chat. Those with the same place may be shown in any order.
    pub place: usize,
    /// When it was asked for first.
    pub asked_at: DateTime<Utc>,
}

/// Writes in one chat.
pub struct Writer {
    key: Caller,
    instance: InstanceId,
    /// Whom to; `None` for all contacts.
    to: Option<String>,
    /// What the names of messages begin with.
    name: String,
    bodies: Arc<Bodies>,
    /// The records, past all relays.
    records: Messages,
    patience: Duration,
    /// When the last one is due that is due later.
    due: DateTime<Utc>,
    place: usize,
    accepted: Vec<Accepted>,
}

impl Writer {
    /// One for a chat of this instance. A message may take so long to be accepted.
    pub fn new(world: &World, line: usize, with: With, name: String, patience: Duration) -> Self {
        let to = match with {
            With::Person(_) => Some(world.person_of(line, with).to_owned()),
            With::Contacts => None,
        };
        let line = &world.lines[line];
        Self {
            key: line.paired.key.clone(),
            instance: line.id,
            to,
            name,
            bodies: Arc::clone(&world.bodies),
            records: Messages::new(world.stores.records.clone()),
            patience,
            due: DateTime::UNIX_EPOCH,
            place: 0,
            accepted: Vec::new(),
        }
    }

    /// Sends all of this when its time has come: what was accepted, which in the end is all.
    pub async fn write(mut self, steps: Vec<Step>, mut rounds: Rounds) -> Vec<Accepted> {
        for (n, step) in steps.into_iter().enumerate() {
            rounds.until(step.when).await;
            let name = format!("{}-{n}", self.name);
            match step.what {
                What::Bulk => self.send_several(&name).await,
                What::Scheduled => self.schedule(&name).await,
                What::Reaction | What::Edit | What::Revoke => self.say(step.what, &name).await,
                what => {
                    self.send(what, &name).await;
                }
            }
        }
        self.accepted
    }

    /// Sends a text at each of these times, and counts it when it is accepted: what was accepted.
    pub async fn write_at(mut self, mut times: Times, count: Arc<AtomicUsize>) -> Vec<Accepted> {
        let mut n = 0;
        while times.come().await {
            let name = format!("{}-{n}", self.name);
            self.send(What::Text, &name).await;
            count.fetch_add(1, Ordering::Relaxed);
            n += 1;
        }
        self.accepted
    }

    /// Sends one message at once: its id.
    async fn send(&mut self, what: What, name: &str) -> MessageId {
        let asked_at = SystemClock.now();
        let making = self.bodies.of(what, name, &self.key, self.instance);
        let (kind, mut body) = Box::pin(making).await;
        if let Some(to) = &self.to {
            body["to"] = json!(to);
        }
        let path = format!("/api/messages/{kind}");
        let granted = self.have(Method::POST, &path, Some(&body), name).await;
        let shows = if what.has_file() {
            Shows::File
        } else {
            Shows::Message
        };
        let text = words(&body).map(str::to_owned);
        self.note(&granted.data, what, shows, text, asked_at)
    }

    /// Sends several texts by one request.
    async fn send_several(&mut self, name: &str) {
        let (asked_at, deadline) = (SystemClock.now(), Instant::now() + self.patience);
        let messages = (0..BULK).map(|n| json!({"kind": "text", "to": self.to, "text": text_of(name, n)}));
        let body = json!({"messages": messages.collect::<Vec<_>>()});
        let mut attempts = 0;
        let results = loop {
            let granted = self
                .have(Method::POST, "/api/messages/bulk", Some(&body), name)
                .await;
            attempts += granted.attempts;
            if granted.data["refused"] == 0 {
                break granted.data["results"].clone();
            }
            assert!(
                Instant::now() < deadline,
                "{name} is not accepted: {}",
                granted.data
            );
            tokio::time::sleep(PAUSE).await;
        };
        for (n, result) in results.as_array().expect("a list").iter().enumerate() {
            let text = Some(text_of(name, n));
            self.note(&result["message"], What::Bulk, Shows::Message, text, asked_at);
            // A request that was repeated may have had its last message accepted before its first.
            if attempts > 1 && n > 0 {
                self.place -= 1;
                let last = self.accepted.last_mut().expect("it was noted");
                last.place = self.place;
            }
        }
    }

    /// Sends a text that is due later than all before it.
    async fn schedule(&mut self, name: &str) {
        for attempt in 0.. {
            let asked_at = SystemClock.now();
            let due = (asked_at + SOON).max(self.due + APART);
            let at = due.to_rfc3339_opts(SecondsFormat::Millis, true);
            let body = json!({"to": self.to, "text": name, "scheduledAt": at});
            let key = format!("{name} {attempt}");
            match self
                .ask(Method::POST, "/api/messages/text", Some(&body), &key)
                .await
            {
                Ok(granted) => {
                    self.due = due;
                    let text = Some(name.to_owned());
                    self.note(&granted.data, What::Scheduled, Shows::Message, text, asked_at);
                    let last = self.accepted.last_mut().expect("it was noted");
                    last.due = Some(due);
                    return;
                }
                // It was past its time before anything was known of it: nothing was accepted under this key.
                Err(refusal) if refusal.contains("scheduledAt") => {}
                Err(refusal) => panic!("{name} is refused: {refusal}"),
            }
        }
    }

    /// Sends a text and, when that is sent, something that is said about it.
    async fn say(&mut self, what: What, name: &str) {
        let of = self.send(What::Text, name).await;
        self.until_sent(of).await;
        let asked_at = SystemClock.now();
        let (path, key) = (format!("/api/messages/{of}"), format!("{name} {what}"));
        if what == What::Reaction {
            let (path, body) = (format!("{path}/reaction"), json!({"emoji": EMOJI}));
            let granted = self.have(Method::POST, &path, Some(&body), &key).await;
            let text = Some(EMOJI.to_owned());
            self.note(&granted.data, what, Shows::About { of }, text, asked_at);
        } else if what == What::Edit {
            let text = format!("{name} anew");
            let body = json!({"text": text});
            let granted = self.have(Method::PATCH, &path, Some(&body), &key).await;
            self.note(&granted.data, what, Shows::Edited { of, text }, None, asked_at);
        } else {
            let granted = self.have(Method::DELETE, &path, None, &key).await;
            let revoke = &granted.data["revoke"];
            self.note(revoke, what, Shows::Revoked { of }, None, asked_at);
        }
    }

    /// Waits until WhatsApp has a message.
    async fn until_sent(&self, id: MessageId) {
        let deadline = Instant::now() + self.patience;
        loop {
            let record = self.records.get(self.instance, id).await.expect("read");
            let state = record.map(|record| record.state);
            if state.is_some_and(State::is_proof_of_sending) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{id} is not sent within {} s: {state:?}",
                self.patience.as_secs()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks until it is granted.
    async fn have(&self, method: Method, path: &str, body: Option<&Value>, name: &str) -> Granted {
        let asked = self.ask(method, path, body, name).await;
        asked.unwrap_or_else(|refusal| panic!("{name} is refused: {refusal}"))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        name: &str,
    ) -> Result<Granted, String> {
        let wish = Wish {
            method,
            path,
            body,
            name,
        };
        Box::pin(wish.ask(&self.key, self.patience)).await
    }

    /// Notes a message by what was answered of it: its id.
    fn note(
        &mut self,
        answered: &Value,
        what: What,
        shows: Shows,
        text: Option<String>,
        asked_at: DateTime<Utc>,
    ) -> MessageId {
        let id = answered["id"].as_str().and_then(|id| id.parse().ok());
        let id = id.unwrap_or_else(|| panic!("no message's id: {answered}"));
        self.place += 1;
        self.accepted.push(Accepted {
            id,
            what,
            shows,
            text,
            due: None,
            place: self.place,
            asked_at,
        });
        id
    }
}

/// What is to be read of a message that is asked for so.
fn words(body: &Value) -> Option<&str> {
    let members = ["text", "caption", "name", "question"].map(|member| &body[member]);
    let mut all = members.into_iter().chain([&body["contact"]["name"]]);
    all.find_map(Value::as_str)
}

/// The text of this number in a request for several.
fn text_of(name: &str, n: usize) -> String {
    format!("{name}-{n}")
}
