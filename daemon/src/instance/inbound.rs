//! Incoming messages: a record and an event each, before WhatsApp hears that they came.

use std::sync::Arc;

use async_trait::async_trait;
use shared::domain::content::{Content, Excerpt};
use shared::domain::counting::Counter;
use shared::domain::event::{Data, MessageReceived};
use shared::domain::message::{Direction, MessageRecord, RECORD_TERM, State, Truncation};
use shared::domain::person::{Acquaintance, MAX_NAME, Person};
use shared::fault;
use shared::ids::{InstanceId, MessageId};
use shared::queue::QueueError;
use shared::session_state::Fence;
use shared::storage::StorageError;
use shared::storage::messages::Put;
use shared::telemetry::chain;
use tracing::{debug, warn};

use super::tally;
use crate::announce::announcement::Announcement;
use crate::announce::{AnnounceError, Handed};
use crate::connection::{CommitError, InboundMessage, InboundSink};
use crate::deps::Deps;

/// Commits an instance's incoming messages. A message that comes again finds its record
/// and has the same event id.
#[derive(Debug)]
pub struct Inbound {
    deps: Arc<Deps>,
    instance: InstanceId,
    fence: Fence,
}

/// The longest WhatsApp id that a record keeps, in bytes. Clients make some forty.
const MAX_WHATSAPP_ID: usize = 512;

/// The longest name of a sender that is told, in characters. The apps allow 25.
const MAX_PUSH_NAME: usize = 256;

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Inbound {
    /// The sink of this instance.
    pub fn new(deps: Arc<Deps>, instance: InstanceId, fence: Fence) -> Self {
        Self {
            deps,
            instance,
            fence,
        }
    }

    /// Looks up the other side, then teaches the directory which names are one person.
    async fn who_wrote(&self, message: &InboundMessage) -> Acquaintance {
        let people = &self.deps.people;
        // Before `meet`, so that a person who was first met by another name keeps that chat.
        let chat = people.who_is(self.instance, &message.chat).await;
        let met = match (message.chat.group(), message.from_me) {
            (None, _) => Some((message.chat.clone(), &message.with)),
            (Some(_), true) => None,
            (Some(_), false) => {
                let sender = message.sender.parse().ok();
                let sender = sender.or_else(|| message.from.names().next());
                sender.map(|sender| (sender, &message.from))
            }
        };
        if let Some((name, person)) = met {
            let other = person.names().find(|other| *other != name);
            people.meet(self.instance, &self.fence, &name, other);
        }
        chat
    }

    /// Stores the records, then tells of the messages: together, so that many events go in few requests.
    async fn commit_all(&self, batch: &[InboundMessage]) -> Result<(), Cause> {
        let mut committed = Vec::new();
        for message in batch {
            committed.extend(self.commit_one(message).await?);
        }
        fault::point("before-received-event");
        let mut handed = Vec::new();
        for message in &committed {
            handed.push(self.hand_on(message).await?);
        }
        for (message, handed) in committed.iter().zip(handed) {
            self.told(message, handed).await?;
        }
        Ok(())
    }

    /// Stores the message's record. Answers what is to be told of it, if anything is.
    async fn commit_one(&self, message: &InboundMessage) -> Result<Option<Committed>, Cause> {
        let instance = self.instance.to_string();
        let chat = message.chat.to_jid();
        let parts: [&str; 4] = [&instance, &chat, &message.sender, &message.whatsapp_id];
        let id = MessageId::derived_in_order(message.received_at, &parts);
        let known = self.who_wrote(message).await;
        let put = self.record(id, message, &known).await?;
        if message.from_me {
            // After the record, which it leads to: where this fails the message comes again.
            let expires = message.received_at + RECORD_TERM;
            let whatsapp_id = &message.whatsapp_id;
            let pointing = self.deps.messages.point(self.instance, whatsapp_id, id, expires);
            pointing.await?;
            return Ok(None);
        }
        // Before the event: where that fails the message comes again, and its record is
        // there already.
        if put == Put::Created {
            tally::count(&self.deps, self.instance, &[Counter::Received], message.at).await;
        }
        let event = Announcement::received(self.instance, &known.chat, &parts, told(id, message));
        Ok(Some(Committed { id, event }))
    }

    /// Puts the message's record. One that the table refuses for good is put as a stub: where
    /// that one is taken, it was the message that was in the way.
    async fn record(
        &self,
        id: MessageId,
        message: &InboundMessage,
        known: &Acquaintance,
    ) -> Result<Put, StorageError> {
        let whole = self.record_of(id, message, known);
        let refused = match self.deps.messages.put(&whole).await {
            Err(error) if error.nature().is_permanent() => error,
            put => return put,
        };
        warn!(instance.id = %self.instance, message.id = %id, error = %chain(&refused), "an incoming message is recorded as a stub");
        let stub = MessageRecord {
            person: whole.person.within(MAX_NAME),
            whatsapp_id: None,
            truncated: Some(match refused {
                StorageError::TooLarge(_) => Truncation::TooLarge,
                _ => Truncation::Refused,
            }),
            ..whole
        };
        self.deps.messages.put(&stub).await
    }

    fn record_of(&self, id: MessageId, message: &InboundMessage, known: &Acquaintance) -> MessageRecord {
        let (_, truncated) = told_content(message);
        let direction = if message.from_me {
            Direction::Outgoing
        } else {
            Direction::Incoming
        };
        let (kind, chat, person) = (
            message.content.kind(),
            known.chat.clone(),
            person_of(message, known),
        );
        let mut record = MessageRecord::new(id, self.instance, direction, kind, chat, person, message.at);
        if message.from_me {
            record.state = State::Sent;
            record.sent_at = Some(message.at);
        }
        // By whichever clock is ahead: nothing of it happened later.
        record.updated_at = message.at.max(message.received_at);
        // The sender's to choose: one that no client makes is not kept.
        record.whatsapp_id = Some(message.whatsapp_id.clone()).filter(|id| id.len() <= MAX_WHATSAPP_ID);
        record.received_at = Some(message.received_at);
        record.truncated = truncated;
        record
    }

    /// Hands the message's event on. One that the queue refuses for good goes without content:
    /// where that one is taken, it was the content that was in the way.
    async fn hand_on(&self, committed: &Committed) -> Result<Handed, Cause> {
        let announcer = &self.deps.announcer;
        match announcer.hand_on(committed.event.clone()).await {
            Err(error) if error.refused().is_some() => {
                Ok(announcer.hand_on(self.stub(committed, &error)).await?)
            }
            handed => Ok(handed?),
        }
    }

    /// Waits until the message's event is told.
    async fn told(&self, committed: &Committed, handed: Handed) -> Result<(), Cause> {
        let announcer = &self.deps.announcer;
        match announcer.told(handed).await {
            Err(error) if error.refused().is_some() => {
                announcer.announce(self.stub(committed, &error)).await?;
            }
            told => told?,
        }
        debug!(instance.id = %self.instance, message.id = %committed.id, "message received");
        Ok(())
    }

    /// The event without what a sender may have made large, or odd.
    fn stub(&self, committed: &Committed, error: &AnnounceError) -> Announcement {
        warn!(instance.id = %self.instance, message.id = %committed.id, error = %chain(error), "an incoming message is told of without content");
        let stub = committed.event.clone().without_content();
        let data = match stub.data {
            Data::MessageReceived(message) => Data::MessageReceived(Box::new(MessageReceived {
                truncated: true,
                truncation_reason: Some(match error.refused() {
                    Some(QueueError::TooLarge { .. }) => Truncation::TooLarge,
                    _ => Truncation::Refused,
                }),
                ..*message
            })),
            other => other,
        };
        Announcement { data, ..stub }
    }
}

/// A message whose record is stored, and what is to be told of it.
struct Committed {
    id: MessageId,
    event: Announcement,
}

/// The other side of a chat with a person, and in a group whoever wrote, by each name that the
/// message or the directory gives.
fn person_of(message: &InboundMessage, chat: &Acquaintance) -> Person {
    let is_person = message.chat.group().is_none();
    if !is_person && !message.from_me {
        return message.from.clone();
    }
    let mut person = message.with.clone();
    if is_person {
        person.phone = person.phone.or_else(|| chat.person.phone.clone());
        person.lid = person.lid.or_else(|| chat.person.lid.clone());
    }
    person
}

/// As much of a message's content as an event carries, and why that is not all.
fn told_content(message: &InboundMessage) -> (Content, Option<Truncation>) {
    let mut content = message.content.clone();
    let is_cut = content.shorten();
    let reason = message.truncated.or(is_cut.then_some(Truncation::TooLarge));
    (content, reason)
}

/// What is told of a message.
fn told(id: MessageId, message: &InboundMessage) -> MessageReceived {
    let (content, reason) = told_content(message);
    let name = message.push_name.as_deref();
    MessageReceived {
        id,
        chat: message.chat.clone(),
        from: message.from.clone(),
        push_name: name.map(|name| cut(name, MAX_PUSH_NAME).unwrap_or(name).to_owned()),
        content: Excerpt::Content(content),
        timestamp: message.at,
        received_at: Some(message.received_at),
        truncated: reason.is_some(),
        truncation_reason: reason,
    }
}

/// The first `most` characters of a text; `None` where it has no more.
fn cut(text: &str, most: usize) -> Option<&str> {
    let (end, _) = text.char_indices().nth(most)?;
    Some(&text[..end])
}

#[async_trait]
impl InboundSink for Inbound {
    async fn commit(&self, batch: &[InboundMessage]) -> Result<(), CommitError> {
        self.commit_all(batch).await.map_err(CommitError)
    }
}
