//! What daemons tell each other.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::domain::feed::FeedEvent;
use shared::ids::{EventId, InstanceId, SubscriptionId};

use crate::announce::hub::Shown;

/// The version of what daemons tell each other. A message of another one is left out.
pub const VERSION: u32 = 1;

/// What a daemon tells the others.
#[derive(Serialize, Deserialize)]
pub struct Envelope {
    pub v: u32,
    pub from: String,
    pub message: Message,
}

/// One thing that is told.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Message {
    /// An event.
    Event {
        id: EventId,
        subscription: SubscriptionId,
        instance: Option<InstanceId>,
        name: FeedEvent,
        body: Value,
    },
    /// Some events before this were not told.
    Gap,
    /// Sockets of this daemon follow these subscriptions.
    Followed { subscriptions: Vec<SubscriptionId> },
    /// The daemon stops, and has told all.
    Goodbye,
}

/// What is told of an event.
pub fn event(shown: &Shown) -> Message {
    Message::Event {
        id: shown.id,
        subscription: shown.subscription,
        instance: shown.instance,
        name: shown.event,
        body: shown.body.clone(),
    }
}
