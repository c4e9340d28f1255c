//! What a session tells besides messages, receipts and its connection: what becomes of groups and contacts, who is there or
//! writes, who calls.
//!
//! WhatsApp's acknowledgement of these is the library's own, and goes out as soon as it has read them. So they are told as
//! well as can be, and not stored: what a process has not queued when it ends is lost.

use std::fmt;

use chrono::{DateTime, Utc};
use shared::domain::event::{Data, EventType};
use shared::domain::recipient::Recipient;

/// Something that is to be told of as it is.
#[derive(Clone, PartialEq)]
pub struct Notice {
    /// The chat that it is of: a group, or a person by the name that WhatsApp gives.
    pub chat: Recipient,
    /// Who did it, as the stanza names them; empty where it names nobody.
    pub by: String,
    /// What makes it this one among the chat's, the same at every delivery: the stanza's id, or that of a picture or a call.
    pub key: String,
    /// When it happened, the same at every delivery.
    pub at: DateTime<Utc>,
    /// What is told.
    pub data: Data,
}

/// Names and content stay out of logs.
impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notice").field(&self.data).finish()
    }
}

/// Takes what a session tells. Neither waits.
pub trait NoticeSink: Send + Sync + fmt::Debug {
    /// Takes a notice. One that finds no room is counted and dropped.
    fn tell(&self, notice: Notice);

    /// Whether somebody is known to want events of this type.
    fn is_wanted(&self, kind: EventType) -> bool;
}
