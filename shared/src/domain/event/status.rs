//! `message.status`: how far a message has come that was accepted here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::message::{Direction, Failure, GroupReceipts, MessageRecord, State};
use crate::domain::person::Person;
use crate::domain::recipient::Recipient;
use crate::domain::times;
use crate::ids::MessageId;

/// A chat by each name that is known; all members are always there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatNames {
    /// The phone number's digits, of a chat with a person.
    pub phone: Option<String>,
    /// The LID's digits, of a chat with a person.
    pub lid: Option<String>,
    /// The group's JID.
    pub group: Option<String>,
}

impl ChatNames {
    /// The names of a chat; `person` is who is on its other side. The number is the person's where it is known: the chat may
    /// go by another spelling of it.
    pub fn of(chat: &Recipient, person: &Person) -> Self {
        let is_person = !chat.is_shared();
        let known = |name: Option<&str>, other: &Option<String>| {
            let other = other.as_deref().filter(|_| is_person);
            other.or(name).map(str::to_owned)
        };
        Self {
            phone: known(chat.phone(), &person.phone),
            lid: known(chat.lid(), &person.lid),
            group: chat.group().map(|_| chat.to_jid()),
        }
    }
}

/// The data of [`EventType::MessageStatus`](super::EventType::MessageStatus).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageStatus {
    /// The message.
    pub id: MessageId,
    /// What it has come to.
    pub status: State,
    /// Whom it goes to.
    pub to: ChatNames,
    /// The caller's own string.
    pub reference: Option<String>,
    /// Why it failed, where it did.
    pub error: Option<Failure>,
    /// How many members of a group it has reached, once that is known.
    pub receipts: Option<GroupReceipts>,
    /// When it came to that.
    #[serde(serialize_with = "times::told")]
    pub at: DateTime<Utc>,
}

impl MessageStatus {
    /// What is told of a message in the state of its record; `None` where nothing is.
    ///
    /// Told is what happens after the request was answered: not `queued`, and not a request that got an error. Messages
    /// from other devices have no id here and are not told.
    pub fn of(record: &MessageRecord) -> Option<Self> {
        let is_told = match record.state {
            State::Sent
            | State::Delivered
            | State::Read
            | State::Played
            | State::Failed
            | State::Expired
            | State::Cancelled => true,
            State::Scheduled | State::Queued | State::Received | State::Unknown => false,
        };
        let is_ours = record.direction == Direction::Outgoing && record.received_at.is_none();
        (is_told && is_ours && !record.was_not_accepted()).then(|| Self {
            id: record.id,
            status: record.state,
            to: ChatNames::of(&record.chat, &record.person),
            reference: record.reference.clone(),
            error: record.failure.clone(),
            receipts: record.receipts,
            at: record.updated_at,
        })
    }
}
