//! What is done with a chat short of sending a message: showing that one writes, reading, and how the chat stands on the
//! account's devices.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::text_enum;

text_enum! {
    /// Whether others see that the account is there.
    Presence {
        /// They do.
        Available = "available",
        /// They do not.
        Unavailable = "unavailable",
    }
}

text_enum! {
    /// What the account does in a chat, as those in it are shown.
    Activity {
        /// It writes.
        Typing = "typing",
        /// It records a voice message.
        Recording = "recording",
        /// Neither any longer.
        Paused = "paused",
    }
}

/// How a chat stands on the account's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ChatChange {
    /// Among the archived chats, or not.
    Archive {
        /// Whether it is.
        archived: bool,
    },
    /// At the top of the list, or not.
    Pin {
        /// Whether it is.
        pinned: bool,
    },
    /// Without notifications.
    Mute {
        /// Until then; without an end where there is none.
        #[serde(default)]
        until: Option<DateTime<Utc>>,
    },
    /// With notifications again.
    Unmute,
}
