//! What is told of messages that say something about another: reactions and revokes. (An edit is told as the message that it
//! changes.)

use serde::{Deserialize, Serialize};

use super::ChatNames;
use crate::domain::person::Person;
use crate::ids::MessageId;

/// The data of [`EventType::MessageReaction`](super::EventType::MessageReaction).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageReaction {
    /// The message reacted to.
    pub message_id: MessageId,
    /// Who reacts.
    pub from: Person,
    /// The emoji, empty where a reaction is taken back; `None` where content is not told.
    pub emoji: Option<String>,
}

/// The data of [`EventType::MessageRevoked`](super::EventType::MessageRevoked).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageRevoked {
    /// The message that is gone.
    pub message_id: MessageId,
    /// Its chat.
    pub chat: ChatNames,
    /// Who has taken it back: its author, or an admin of the group.
    pub from: Person,
}
