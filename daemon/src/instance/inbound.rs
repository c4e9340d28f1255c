//! Incoming messages: a record and an event each, before WhatsApp hears that they came.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::domain::event::{self, Event, EventType, MessageReceived};
use shared::domain::job;
use shared::domain::message::{Direction, MessageRecord, State};
use shared::ids::{EventId, InstanceId, MessageId, SubscriptionId};
use shared::queue::OutgoingMessage;
use shared::seal::Purpose;
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
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Inbound {
    /// The sink of this instance.
    pub fn new(deps: Arc<Deps>, instance: InstanceId, subscription: SubscriptionId) -> Self {
        Self {
            deps,
            instance,
            subscription,
        }
    }

    async fn commit_one(&self, message: &InboundMessage) -> Result<(), Cause> {
        let instance = self.instance.to_string();
        let chat = message.chat.to_jid();
        let parts: [&str; 4] = [&instance, &chat, &message.sender, &message.whatsapp_id];
        let id = MessageId::derived(message.at, &parts);
        let record = MessageRecord {
            id,
            instance: self.instance,
            direction: if message.from_me {
                Direction::Outgoing
            } else {
                Direction::Incoming
            },
            kind: message.kind,
            chat: message.chat.clone(),
            person: message.from.clone(),
            state: if message.from_me {
                State::Sent
            } else {
                State::Received
            },
            failure: None,
            reference: None,
            created_at: message.at,
            updated_at: self.deps.clock.now(),
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

#[async_trait]
impl InboundSink for Inbound {
    async fn commit(&self, batch: &[InboundMessage]) -> Result<(), CommitError> {
        for message in batch {
            self.commit_one(message).await.map_err(CommitError)?;
        }
        Ok(())
    }
}
