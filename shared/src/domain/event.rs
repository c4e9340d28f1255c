//! What the daemon tells the world, through the events queue: webhooks and the realtime
//! feed read it from there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::message::{Kind, Truncation};
use super::payload::Payload;
use super::person::Person;
use super::recipient::Recipient;
use super::text_enum;
use crate::ids::{EventId, InstanceId, MessageId, SubscriptionId};

/// The longest text that an event tells, in Unicode scalar values: as much as WhatsApp's apps
/// let one write. A longer one is cut, and the event says so. In JSON, sealed and in base64 it
/// stays below what a queue takes, whatever its characters.
pub const MAX_TEXT: usize = 65_536;

text_enum! {
    /// What happened.
    EventType {
        /// A message arrived.
        MessageReceived = "message.received",
    }
}

/// An event in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Derived from what it tells of, so a redelivery has the same id.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// To which instance.
    pub instance: InstanceId,
    /// The instance's subscription.
    pub subscription: SubscriptionId,
    /// The event's data as JSON (such as [`MessageReceived`]), sealed for the purpose of
    /// content with the event's id as associated data, in base64.
    pub data: String,
}

impl Payload for Event {
    const READS: u32 = 1;

    fn needs(&self) -> u32 {
        match self.kind {
            EventType::MessageReceived => 1,
        }
    }
}

/// The data of [`EventType::MessageReceived`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageReceived {
    /// The message's id.
    pub id: MessageId,
    /// The chat it came in.
    pub chat: Recipient,
    /// Who sent it.
    pub from: Person,
    /// The name that the sender shows others.
    pub push_name: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// Its text, where it has one.
    pub text: Option<String>,
    /// When WhatsApp says it was sent, in whole seconds.
    pub timestamp: DateTime<Utc>,
    /// When it came to us.
    #[serde(default)]
    pub received_at: Option<DateTime<Utc>>,
    /// Whether the content is not whole, or not there.
    #[serde(default)]
    pub truncated: bool,
    /// Why.
    #[serde(default)]
    pub truncation_reason: Option<Truncation>,
}

/// The event's message group: order holds within a chat.
pub fn group(instance: InstanceId, chat: &Recipient) -> String {
    use sha2::{Digest, Sha256};
    // The chat itself is a phone number and has no place in a queue's clear text.
    format!("{instance}#{}", hex::encode(&Sha256::digest(chat.to_jid())[..8]))
}
