//! The message that another one is about.

use serde::{Deserialize, Serialize};

use super::Content;
use crate::domain::person::Person;

/// The longest WhatsApp id that is told apart, in bytes. Clients make some forty.
pub const MAX_WHATSAPP_ID: usize = 512;

/// Names a message by what WhatsApp knows it by, within the chat of the message that is about it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// WhatsApp's id of it.
    pub whatsapp_id: String,
    /// Whether the account itself wrote it, from any of its devices.
    pub from_me: bool,
    /// Who else wrote it, in a group. Nobody in a chat with a person: that has one other side.
    #[serde(default, skip_serializing_if = "Person::is_nobody")]
    pub author: Person,
}

impl Content {
    /// The message that this is about, where it is about another.
    pub const fn target(&self) -> Option<&Target> {
        match self {
            Self::Reaction(reaction) => Some(&reaction.target),
            Self::Edit(edit) => Some(&edit.target),
            Self::Revoke(revoke) => Some(&revoke.target),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub const fn target_mut(&mut self) -> Option<&mut Target> {
        match self {
            Self::Reaction(reaction) => Some(&mut reaction.target),
            Self::Edit(edit) => Some(&mut edit.target),
            Self::Revoke(revoke) => Some(&mut revoke.target),
            _ => None,
        }
    }
}
