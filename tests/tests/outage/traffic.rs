//! Messages out and in, in each chat one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testbed::caller::Caller;
use testbed::wait::until;
use tests::patient::Wish;
use tests::phones::Phones;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::world::World;

/// The pause between two messages of a chat and direction.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a caller tries for one message: the longest trouble, and what comes after it.
const PATIENCE: Duration = Duration::from_mins(3);

/// What was sent in one chat.
#[derive(Debug)]
pub struct Sent {
    /// The number of the person.
    pub person: String,
    /// The ids of accepted messages, in the order of their acceptance.
    pub out: Vec<String>,
    /// WhatsApp's ids of what the person sent, in its order.
    pub back: Vec<String>,
}

/// What goes out and what comes back in one chat, and its person. It ends with this, so that a case that fails is over.
type Chat = (
    AbortOnDropHandle<Vec<String>>,
    AbortOnDropHandle<Vec<String>>,
    String,
);

/// Messages under way.
pub struct Traffic {
    stop: CancellationToken,
    accepted: Arc<AtomicUsize>,
    /// The chats of each instance.
    lines: Vec<Vec<Chat>>,
}

impl Traffic {
    /// Begins in every chat of every instance.
    pub fn begin(world: &World) -> Self {
        let (stop, accepted) = (CancellationToken::new(), Arc::<AtomicUsize>::default());
        let begin = |line: &crate::world::Line| {
            let chats = line.people.iter().map(|person| {
                let outgoing = send_out(
                    line.paired.key.clone(),
                    person.clone(),
                    accepted.clone(),
                    stop.clone(),
                );
                let incoming = send_back(
                    world.phones.clone(),
                    person.clone(),
                    line.paired.own.clone(),
                    stop.clone(),
                );
                (
                    AbortOnDropHandle::new(tokio::spawn(outgoing)),
                    AbortOnDropHandle::new(tokio::spawn(incoming)),
                    person.clone(),
                )
            });
            chats.collect()
        };
        let lines = world.lines.iter().map(begin).collect();
        Self {
            stop,
            accepted,
            lines,
        }
    }

    /// Waits until every chat may have had its first message.
    pub async fn until_flowing(&self) {
        let chats: usize = self.lines.iter().map(Vec::len).sum();
        until("the first messages", async || {
            (self.accepted.load(Ordering::SeqCst) >= chats).then_some(())
        })
        .await;
    }

    /// Ends it: what was accepted and sent, by instance and chat.
    pub async fn end(self) -> Vec<Vec<Sent>> {
        self.stop.cancel();
        let mut lines = Vec::new();
        for chats in self.lines {
            let mut sent = Vec::new();
            for (out, back, person) in chats {
                sent.push(Sent {
                    person,
                    out: out.await.expect("every message is accepted in the end"),
                    back: back.await.expect("the sandbox takes every message"),
                });
            }
            lines.push(sent);
        }
        lines
    }
}

/// Texts to a person until `stop`: the ids of those that were accepted, which in the end are all.
async fn send_out(
    key: Caller,
    person: String,
    accepted: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> Vec<String> {
    let mut ids = Vec::new();
    while !stop.is_cancelled() {
        let number = ids.len();
        let body = json!({"to": person, "text": format!("out {number}")});
        let name = format!("{person}-{number}");
        ids.push(accept(&key, &body, &name).await);
        accepted.fetch_add(1, Ordering::SeqCst);
        pause(&stop).await;
    }
    ids
}

/// Has a text accepted: its id.
async fn accept(key: &Caller, body: &Value, name: &str) -> String {
    let wish = Wish {
        method: Method::POST,
        path: "/api/messages/text",
        body: Some(body),
        name,
    };
    let granted = wish.ask(key, PATIENCE).await.expect("accepted");
    granted.data["id"].as_str().expect("an id").to_owned()
}

/// Texts from a person to the instance until `stop`: their ids.
async fn send_back(phones: Phones, person: String, own: String, stop: CancellationToken) -> Vec<String> {
    let mut ids = Vec::new();
    let path = format!("/admin/phones/{person}/send");
    while !stop.is_cancelled() {
        let text = format!("back {}", ids.len());
        let sent = phones
            .post(&path, &json!({"to": own, "kind": "text", "text": text}))
            .await;
        ids.push(sent["id"].as_str().expect("an id").to_owned());
        pause(&stop).await;
    }
    ids
}

async fn pause(stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => {}
        () = stop.cancelled() => {}
    }
}
