//! What is done with a chat short of sending, and whether others see that the account is there.

use serde::{Deserialize, Serialize};

use crate::domain::chats::{Activity, ChatChange, Presence};
use crate::domain::recipient::Recipient;
use crate::ids::MessageId;

/// Show those in a chat what the account does in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShowActivity {
    /// The chat.
    pub chat: Recipient,
    /// What it does.
    pub activity: Activity,
}

/// Show others that the account is there, or that it is not.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetPresence {
    /// Which of the two.
    pub presence: Presence,
}

/// Change how a chat stands on the account's devices.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeChat {
    /// The chat.
    pub chat: Recipient,
    /// How it is to stand.
    pub change: ChatChange,
}

/// It is done.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {}

/// Mark what came in a chat as read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadChat {
    /// The chat, by its canonical name.
    pub chat: Recipient,
    /// The last message that is marked; the newest without it.
    #[serde(default)]
    pub up_to: Option<MessageId>,
}

/// It is marked as read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatRead {
    /// How many messages that were not marked before.
    pub messages: u32,
}
