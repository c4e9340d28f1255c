//! Incoming messages: a record and an event each, before WhatsApp hears that they came.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::domain::event::{self, Event, EventType, MessageReceived};
use shared::domain::job;
use shared::domain::message::{Direction, MessageRecord, State};
use shared::domain::person::{Acquaintance, Person};
use shared::domain::recipient::Recipient;
use shared::ids::{EventId, InstanceId, MessageId, SubscriptionId};
use shared::queue::OutgoingMessage;
use shared::seal::Purpose;
use shared::session_state::Fence;
use shared::storage::counters::Counter;
use shared::storage::messages::Put;
use tracing::debug;

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

    /// Who the chat's other side is, and what is learnt of whoever wrote.
    async fn who_wrote(&self, message: &InboundMessage) -> Acquaintance {
        let people = &self.deps.people;
        // Before the lesson: whoever was met by another name keeps that chat.
        let chat = people.who_is(self.instance, &message.chat).await;
        if !message.from_me {
            let met = message.sender.parse::<Recipient>();
            if let Some(met) = met.ok().or_else(|| message.from.names().next()) {
                let other = message.from.names().find(|name| *name != met);
                people.meet(self.instance, &self.fence, &met, other);
            }
        }
        chat
    }

    async fn commit_one(&self, message: &InboundMessage) -> Result<(), Cause> {
        let instance = self.instance.to_string();
        let chat = message.chat.to_jid();
        let parts: [&str; 4] = [&instance, &chat, &message.sender, &message.whatsapp_id];
        let id = MessageId::derived(message.at, &parts);
        let known = self.who_wrote(message).await;
        let record = MessageRecord {
            id,
            instance: self.instance,
            direction: if message.from_me {
                Direction::Outgoing
            } else {
                Direction::Incoming
            },
            kind: message.kind,
            chat: known.chat.clone(),
            person: person_of(message, &known),
            state: if message.from_me {
                State::Sent
            } else {
                State::Received
            },
            failure: None,
            reference: None,
            created_at: message.at,
            updated_at: self.deps.clock.now(),
            expires_at: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            whatsapp_id: Some(message.whatsapp_id.clone()),
        };
        let put = self.deps.messages.put(&record).await?;
        if message.from_me {
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

    async fn announce(&self, id: MessageId, message: &InboundMessage, parts: &[&str]) -> Result<(), Cause> {
        let kind = EventType::MessageReceived;
        let event_id = EventId::derived(message.at, &[parts, &[kind.as_str()]].concat());
        let data = serde_json::to_vec(&MessageReceived {
            id,
            chat: message.chat.clone(),
            from: message.from.clone(),
            push_name: message.push_name.clone(),
            kind: message.kind,
            text: message.text.clone(),
            timestamp: message.at,
        })?;
        let aad = event_id.to_string();
        let sealed = self
            .deps
            .sealer
            .seal(self.instance, Purpose::Content, aad.as_bytes(), &data)
            .await?;
        let event = Event {
            id: event_id,
            kind,
            timestamp: message.at,
            instance: self.instance,
            subscription: self.subscription,
            data: STANDARD.encode(sealed),
        };
        let group = event::group(self.instance, &message.chat);
        let outgoing = OutgoingMessage::fifo(job::encode(&event), group, aad);
        self.deps.queue.send(&self.deps.names.events(), outgoing).await?;
        Ok(())
    }
}

/// Whoever wrote a message, by each name that the message or the directory gives.
fn person_of(message: &InboundMessage, chat: &Acquaintance) -> Person {
    let mut person = message.from.clone();
    if !message.from_me && message.chat.group().is_none() {
        person.phone = person.phone.or_else(|| chat.person.phone.clone());
        person.lid = person.lid.or_else(|| chat.person.lid.clone());
    }
    person
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
