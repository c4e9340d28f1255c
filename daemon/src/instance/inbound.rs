//! Incoming messages: a record and an event each, before WhatsApp hears that they came.

use std::sync::Arc;

use async_trait::async_trait;
use shared::domain::content::{Content, Excerpt};
use shared::domain::counting::Counter;
use shared::domain::event::{self, Event, EventType, MessageReceived};
use shared::domain::message::{Direction, MessageRecord, RECORD_TERM, State, Truncation};
use shared::domain::payload;
use shared::domain::person::{Acquaintance, Person};
use shared::ids::{EventId, InstanceId, MessageId, SubscriptionId};
use shared::queue::{OutgoingMessage, QueueError};
use shared::sealed;
use shared::session_state::Fence;
use shared::storage::StorageError;
use shared::storage::messages::Put;
use shared::telemetry::chain;
use tracing::{debug, warn};

use super::tally;
use crate::connection::{CommitError, InboundMessage, InboundSink};
use crate::deps::Deps;

/// Commits an instance's incoming messages. A message that comes again finds its record
/// and has the same event id.
#[derive(Debug)]
pub struct Inbound {
    deps: Arc<Deps>,
    instance: InstanceId,
    subscription: SubscriptionId,
    fence: Fence,
}

/// The longest WhatsApp id that a record keeps, in bytes. Clients make some forty.
const MAX_WHATSAPP_ID: usize = 512;

/// The longest name of a sender that is told, in characters. The apps allow 25.
const MAX_PUSH_NAME: usize = 256;

/// The longest number or LID that a stub keeps, in bytes. They have some twenty digits.
const MAX_NAME: usize = 64;

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Inbound {
    /// The sink of this instance.
    pub fn new(deps: Arc<Deps>, instance: InstanceId, subscription: SubscriptionId, fence: Fence) -> Self {
        Self {
            deps,
            instance,
            subscription,
            fence,
        }
    }

    /// Who the chat's other side is. It is learnt how a person's names belong together: of the other side of a chat, and of
    /// whoever wrote in a group.
    async fn who_wrote(&self, message: &InboundMessage) -> Acquaintance {
        let people = &self.deps.people;
        // Before the lesson: whoever was met by another name keeps that chat.
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

    async fn commit_one(&self, message: &InboundMessage) -> Result<(), Cause> {
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
            return Ok(());
        }
        // Before the event: where that fails the message comes again, and its record is
        // there already.
        if put == Put::Created {
            tally::count(&self.deps, self.instance, &[Counter::Received], message.at).await;
        }
        self.announce(id, message, &parts).await?;
        debug!(instance.id = %self.instance, message.id = %id, "message received");
        Ok(())
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
            person: sane(&whole.person),
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
        MessageRecord {
            id,
            instance: self.instance,
            direction: if message.from_me {
                Direction::Outgoing
            } else {
                Direction::Incoming
            },
            kind: message.content.kind(),
            chat: known.chat.clone(),
            person: person_of(message, known),
            state: if message.from_me {
                State::Sent
            } else {
                State::Received
            },
            failure: None,
            reference: None,
            created_at: message.at,
            // By whichever clock is ahead: nothing of it happened later.
            updated_at: message.at.max(message.received_at),
            expires_at: None,
            sent_at: message.from_me.then_some(message.at),
            delivered_at: None,
            read_at: None,
            // The sender's to choose: one that no client makes is not kept.
            whatsapp_id: Some(message.whatsapp_id.clone()).filter(|id| id.len() <= MAX_WHATSAPP_ID),
            received_at: Some(message.received_at),
            truncated,
            receipts: None,
        }
    }

    /// Queues the message's event. One that the queue refuses for good goes without content:
    /// where that one is taken, it was the content that was in the way.
    async fn announce(&self, id: MessageId, message: &InboundMessage, parts: &[&str]) -> Result<(), Cause> {
        let whole = told(id, message);
        let refused = match self.queue(message, &whole, parts).await? {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        warn!(instance.id = %self.instance, message.id = %id, error = %chain(&refused), "an incoming message is told of without content");
        let stub = MessageReceived {
            from: sane(&whole.from),
            push_name: None,
            content: whole.content.without_content(),
            truncated: true,
            truncation_reason: Some(match refused {
                QueueError::TooLarge { .. } => Truncation::TooLarge,
                _ => Truncation::Refused,
            }),
            ..whole
        };
        self.queue(message, &stub, parts).await??;
        Ok(())
    }

    /// Seals and queues an event; the inner error is what the queue refuses for good.
    async fn queue(
        &self,
        message: &InboundMessage,
        data: &MessageReceived,
        parts: &[&str],
    ) -> Result<Result<(), QueueError>, Cause> {
        let kind = EventType::MessageReceived;
        let event_id = EventId::derived(message.at, &[parts, &[kind.as_str()]].concat());
        let needs = data.content.kind().needs();
        let data = sealed::seal(&self.deps.sealer, self.instance, &event_id, data).await?;
        let event = Event {
            id: event_id,
            kind,
            timestamp: message.at,
            instance: self.instance,
            subscription: self.subscription,
            needs,
            data,
        };
        let group = event::group(self.instance, &message.chat);
        let outgoing = OutgoingMessage::fifo(payload::encode(&event), group, event_id.to_string());
        match self.deps.queue.send(&self.deps.names.events(), outgoing).await {
            Err(error) if error.nature().is_permanent() => Ok(Err(error)),
            sent => {
                sent?;
                Ok(Ok(()))
            }
        }
    }
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

/// The names of a person that are as long as names are.
fn sane(person: &Person) -> Person {
    let sane = |name: &Option<String>| name.clone().filter(|name| name.len() <= MAX_NAME);
    Person {
        phone: sane(&person.phone),
        lid: sane(&person.lid),
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
        for message in batch {
            self.commit_one(message).await.map_err(CommitError)?;
        }
        Ok(())
    }
}
