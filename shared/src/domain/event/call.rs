//! What is told of calls.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::person::{MAX_NAME, Person};
use crate::domain::times;

/// The longest id of a call that is told, in bytes. The apps make 32 characters.
pub const MAX_CALL_ID: usize = 128;

/// The data of [`EventType::CallReceived`](super::EventType::CallReceived): somebody calls.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallReceived {
    /// WhatsApp's id of the call.
    pub id: String,
    /// Who calls.
    pub from: Person,
    /// The name that the caller shows others.
    pub push_name: Option<String>,
    /// The JID of the group that is called, where WhatsApp says.
    pub group: Option<String>,
    /// Whether a group is called.
    pub is_group: bool,
    /// Whether it has a picture.
    pub is_video: bool,
    /// Whether it was over when it came: the instance was not connected when it rang.
    pub missed: bool,
    /// When it began to ring, as WhatsApp says, in whole seconds.
    #[serde(serialize_with = "times::told")]
    pub timestamp: DateTime<Utc>,
}

impl CallReceived {
    /// The same without what the caller may have made large.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        self.from = self.from.within(MAX_NAME);
        self.push_name = None;
        self
    }
}
