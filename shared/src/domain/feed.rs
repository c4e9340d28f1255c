//! The realtime feed's events: what they are called, and what an API key must be allowed to hear of them.

use super::event::EventType;
use super::text_enum;
use crate::auth::api_key::Scope;

text_enum! {
    /// What the realtime feed calls an event.
    FeedEvent {
        /// How an instance's connection is: `session.*` but for the codes.
        ConnectionUpdate = "connection:update",
        /// A QR code waits to be scanned. The code itself is not told.
        QrUpdate = "qr:update",
        /// How the pairing of an instance goes has changed: for whoever has its pairing link, and nobody else.
        PairingUpdate = "pairing:update",
        /// A message that was accepted here has come further.
        MessageStatus = "message:status",
        /// An instance's counters of the day have changed.
        MessageStats = "message:stats",
        /// A message arrived.
        MessageReceived = "message:received",
        /// A message says something else now.
        MessageEdited = "message:edited",
        /// A message was taken back.
        MessageRevoked = "message:revoked",
        /// Somebody has reacted to a message.
        MessageReaction = "message:reaction",
        /// Somebody votes on a poll.
        PollVote = "poll:vote",
        /// Something about a group is changed.
        GroupUpdated = "group:updated",
        /// People come into a group, go, become its admins or are that no more.
        GroupParticipants = "group:participants",
        /// Something about a contact is changed.
        ContactUpdated = "contact:updated",
        /// Somebody is there or not, or writes.
        PresenceUpdate = "presence:update",
        /// Somebody calls.
        CallReceived = "call:received",
        /// Somebody tries whether events arrive.
        WebhookTest = "webhook:test",
        /// An instance was created.
        InstanceCreated = "instance:created",
        /// A subscription has another tier, or was switched on or off.
        SubscriptionChanged = "subscription:changed",
        /// Whether the daemon can do its work.
        SystemHealth = "system:health",
    }
}

impl FeedEvent {
    /// What the feed calls events of this type. Besides the three that the contract names otherwise, that is the type with a
    /// colon for its dot. `None` for a type that the feed does not know.
    pub fn of(kind: EventType) -> Option<Self> {
        match kind {
            EventType::SessionQr => Some(Self::QrUpdate),
            EventType::PresenceUpdated => Some(Self::PresenceUpdate),
            kind if kind.as_str().starts_with("session.") => Some(Self::ConnectionUpdate),
            kind => kind.as_str().replace('.', ":").parse().ok(),
        }
    }

    /// The scope without which an API key does not hear of it; `None` for what no key hears of.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::MessageStatus
            | Self::MessageReceived
            | Self::MessageEdited
            | Self::MessageRevoked
            | Self::MessageReaction
            | Self::PollVote => Some(Scope::MessagesRead),
            Self::MessageStats => Some(Scope::StatsRead),
            Self::ConnectionUpdate | Self::QrUpdate | Self::InstanceCreated | Self::SystemHealth => {
                Some(Scope::InstanceRead)
            }
            Self::GroupUpdated | Self::GroupParticipants => Some(Scope::GroupsRead),
            Self::ContactUpdated | Self::PresenceUpdate | Self::CallReceived => Some(Scope::ContactsRead),
            Self::WebhookTest => Some(Scope::WebhookRead),
            Self::SubscriptionChanged | Self::PairingUpdate => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_event_has_a_name_in_the_feed() {
        for kind in EventType::ALL {
            assert!(FeedEvent::of(*kind).is_some(), "{kind}");
        }
        let of = |kind| FeedEvent::of(kind).map(FeedEvent::as_str);
        assert_eq!(of(EventType::SessionBanned), Some("connection:update"));
        assert_eq!(of(EventType::SessionQr), Some("qr:update"));
        assert_eq!(of(EventType::PresenceUpdated), Some("presence:update"));
        assert_eq!(of(EventType::MessageReceived), Some("message:received"));
    }
}
