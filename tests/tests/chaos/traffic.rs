//! Messages out and in, in each chat one after the other.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::plan::{Chat, Moment, Plan, With};
use crate::restarting_sandbox::RestartingSandbox;
use crate::world::World;
use crate::writer::{Accepted, Writer};

/// What was sent in a chat.
pub struct OfChat {
    pub with: With,
    /// What was accepted.
    pub out: Vec<Accepted>,
    /// What its person sent.
    pub back: Vec<Written>,
}

/// A text that a person has sent.
pub struct Written {
    /// Its id at WhatsApp.
    pub id: String,
    pub text: String,
}

/// What goes out in a chat, and what comes back. It ends with this, so that a run that fails is over.
pub type Under = (
    With,
    AbortOnDropHandle<Vec<Accepted>>,
    AbortOnDropHandle<Vec<Written>>,
);

/// Messages under way.
pub struct Traffic {
    /// The chats of each instance. They end before the rounds do.
    lines: Vec<Vec<Under>>,
    rounds: watch::Sender<Vec<Instant>>,
}

/// When each round that has begun began.
#[derive(Clone)]
pub struct Rounds(watch::Receiver<Vec<Instant>>);

impl Rounds {
    /// Waits until this moment has come.
    pub async fn until(&mut self, when: Moment) {
        let since = {
            let begun = self.0.wait_for(|begun| begun.len() > when.round).await;
            begun.expect("all rounds begin")[when.round]
        };
        tokio::time::sleep_until(since + when.at).await;
    }
}

/// A person who writes to an instance.
pub struct Person {
    sandbox: Arc<RestartingSandbox>,
    number: String,
    /// Whom to.
    to: String,
    /// What the texts begin with.
    name: String,
}

impl Traffic {
    /// Makes it ready: each message waits for its round.
    pub fn ready(world: &World, plan: &Plan, patience: Duration) -> Self {
        let (rounds, begun) = watch::channel(Vec::new());
        let begun = Rounds(begun);
        let of_line = |(line, chats): (usize, &Vec<Chat>)| {
            let of_chat = |(chat, planned): (usize, &Chat)| {
                let name = format!("{line}-{chat}");
                let writer = Writer::new(world, line, planned.with, format!("out {name}"), patience);
                let out = writer.write(planned.out.clone(), begun.clone());
                let person = Person::new(world, line, planned.with, format!("back {name}"));
                let back = person.write(planned.back.clone(), begun.clone());
                (
                    planned.with,
                    AbortOnDropHandle::new(tokio::spawn(out)),
                    AbortOnDropHandle::new(tokio::spawn(back)),
                )
            };
            chats.iter().enumerate().map(of_chat).collect()
        };
        let lines = plan.lines.iter().enumerate().map(of_line).collect();
        Self { lines, rounds }
    }

    /// The next round begins.
    pub fn begin_round(&self) {
        self.rounds.send_modify(|begun| begun.push(Instant::now()));
    }

    /// Waits for the end of all that was planned: what was accepted and sent, by instance and chat.
    pub async fn end(self) -> Vec<Vec<OfChat>> {
        sent_in(self.lines).await
    }
}

/// Waits for the ends of these chats: what was accepted and sent, by instance and chat.
pub async fn sent_in(lines: Vec<Vec<Under>>) -> Vec<Vec<OfChat>> {
    let mut all = Vec::new();
    for chats in lines {
        let mut sent = Vec::new();
        for (with, out, back) in chats {
            sent.push(OfChat {
                with,
                out: out.await.expect("every message is accepted in the end"),
                back: back.await.expect("the sandbox takes every message"),
            });
        }
        all.push(sent);
    }
    all
}

impl Person {
    /// The person of a chat of this instance. `name` is what the texts begin with.
    pub fn new(world: &World, line: usize, with: With, name: String) -> Self {
        Self {
            sandbox: Arc::clone(&world.sandbox),
            number: world.person_of(line, with).to_owned(),
            to: world.lines[line].paired.own.clone(),
            name,
        }
    }

    /// Sends a text at each of these moments.
    async fn write(self, when: Vec<Moment>, mut rounds: Rounds) -> Vec<Written> {
        let mut written = Vec::new();
        for (n, moment) in when.into_iter().enumerate() {
            rounds.until(moment).await;
            written.push(self.say(n).await);
        }
        written
    }

    /// Sends the text of this number.
    pub async fn say(&self, n: usize) -> Written {
        let path = format!("/admin/phones/{}/send", self.number);
        let text = format!("{}-{n}", self.name);
        let body = json!({"to": self.to, "kind": "text", "text": text});
        let sent = self.sandbox.phones().await.post(&path, &body).await;
        let id = sent["id"].as_str().expect("an id").to_owned();
        Written { id, text }
    }
}
