//! What is told of people while they do nothing but be there: that they are, and that they write.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ChatNames;
use crate::domain::person::{MAX_NAME, Person};
use crate::domain::times;

/// The data of [`EventType::PresenceUpdated`](super::EventType::PresenceUpdated).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceUpdated {
    /// The chat that it shows in: the person's, or a group in which they write.
    pub chat: ChatNames,
    /// Who it is.
    pub from: Person,
    /// What they do.
    pub state: PresenceState,
    /// When they were there last, where they are not there now and let the account see that.
    #[serde(serialize_with = "times::told_if_any")]
    pub last_seen: Option<DateTime<Utc>>,
}

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceState {
    /// They are there.
    Available,
    /// They are not.
    Unavailable,
    /// They write.
    Typing,
    /// They record a voice message.
    Recording,
    /// They neither write nor record any longer.
    Paused,
}

impl PresenceUpdated {
    /// The same without names that are no names.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        self.from = self.from.within(MAX_NAME);
        self
    }
}
