//! What an event tells.

use serde::{Serialize, Serializer};

use crate::domain::content::Context;
use crate::domain::payload::newest;
use crate::domain::person::MAX_NAME;
use crate::ids::MessageId;

use super::{
    CallReceived, ContactUpdated, EventType, GroupParticipants, GroupUpdated, MessageReaction,
    MessageReceived, MessageRevoked, MessageStatus, PollVote, PresenceUpdated, SessionChange, WebhookTest,
};

/// What an event tells, by its type.
#[derive(Clone, PartialEq)]
pub enum Data {
    /// Of [`EventType::MessageReceived`].
    MessageReceived(Box<MessageReceived>),
    /// Of [`EventType::MessageEdited`].
    MessageEdited(Box<MessageReceived>),
    /// Of [`EventType::MessageRevoked`].
    MessageRevoked(Box<MessageRevoked>),
    /// Of [`EventType::MessageReaction`].
    MessageReaction(Box<MessageReaction>),
    /// Of [`EventType::PollVote`].
    PollVote(Box<PollVote>),
    /// Of [`EventType::MessageStatus`].
    MessageStatus(Box<MessageStatus>),
    /// Of [`EventType::GroupUpdated`].
    GroupUpdated(Box<GroupUpdated>),
    /// Of [`EventType::GroupParticipants`].
    GroupParticipants(Box<GroupParticipants>),
    /// Of [`EventType::ContactUpdated`].
    ContactUpdated(Box<ContactUpdated>),
    /// Of [`EventType::PresenceUpdated`].
    PresenceUpdated(Box<PresenceUpdated>),
    /// Of [`EventType::CallReceived`].
    CallReceived(Box<CallReceived>),
    /// Of [`EventType::WebhookTest`].
    WebhookTest(Box<WebhookTest>),
    /// Of the types `session.*`, this one.
    Session(EventType, Box<SessionChange>),
}

impl Data {
    /// The type of the event.
    pub fn kind(&self) -> EventType {
        match self {
            Self::MessageReceived(_) => EventType::MessageReceived,
            Self::MessageEdited(_) => EventType::MessageEdited,
            Self::MessageRevoked(_) => EventType::MessageRevoked,
            Self::MessageReaction(_) => EventType::MessageReaction,
            Self::PollVote(_) => EventType::PollVote,
            Self::MessageStatus(_) => EventType::MessageStatus,
            Self::GroupUpdated(_) => EventType::GroupUpdated,
            Self::GroupParticipants(_) => EventType::GroupParticipants,
            Self::ContactUpdated(_) => EventType::ContactUpdated,
            Self::PresenceUpdated(_) => EventType::PresenceUpdated,
            Self::CallReceived(_) => EventType::CallReceived,
            Self::WebhookTest(_) => EventType::WebhookTest,
            Self::Session(kind, _) => *kind,
        }
    }

    /// The message that this is about, as a reaction is about the message reacted to; `None` where it is about none.
    pub fn message(&self) -> Option<MessageId> {
        match self {
            Self::MessageReceived(data) | Self::MessageEdited(data) => Some(data.id),
            Self::MessageRevoked(data) => Some(data.message_id),
            Self::MessageReaction(data) => Some(data.message_id),
            Self::PollVote(data) => Some(data.message_id),
            Self::MessageStatus(data) => Some(data.id),
            Self::GroupUpdated(_)
            | Self::GroupParticipants(_)
            | Self::ContactUpdated(_)
            | Self::PresenceUpdated(_)
            | Self::CallReceived(_)
            | Self::WebhookTest(_)
            | Self::Session(..) => None,
        }
    }

    /// The version that a reader must know to get this right: see [`Payload::needs`](crate::domain::payload::Payload).
    pub fn needs(&self) -> u32 {
        let content = match self {
            Self::MessageReceived(data) | Self::MessageEdited(data) => {
                newest(&[data.content.kind().needs(), data.context.needs()])
            }
            Self::MessageRevoked(_)
            | Self::MessageReaction(_)
            | Self::PollVote(_)
            | Self::MessageStatus(_)
            | Self::GroupUpdated(_)
            | Self::GroupParticipants(_)
            | Self::ContactUpdated(_)
            | Self::PresenceUpdated(_)
            | Self::CallReceived(_)
            | Self::WebhookTest(_)
            | Self::Session(..) => 1,
        };
        newest(&[self.kind().needs(), content])
    }

    /// The same without what a message says, and without what its sender may have made large.
    #[must_use]
    pub fn without_content(self) -> Self {
        match self {
            Self::MessageReceived(data) => Self::MessageReceived(bare(*data)),
            Self::MessageEdited(data) => Self::MessageEdited(bare(*data)),
            Self::MessageReaction(data) => Self::MessageReaction(Box::new(MessageReaction {
                emoji: None,
                from: data.from.within(MAX_NAME),
                ..*data
            })),
            Self::PollVote(data) => Self::PollVote(Box::new(PollVote {
                options: None,
                tally: None,
                from: data.from.within(MAX_NAME),
                ..*data
            })),
            Self::MessageRevoked(data) => Self::MessageRevoked(Box::new(MessageRevoked {
                from: data.from.within(MAX_NAME),
                ..*data
            })),
            Self::GroupUpdated(data) => Self::GroupUpdated(Box::new(data.without_content())),
            Self::GroupParticipants(data) => Self::GroupParticipants(Box::new(data.without_content())),
            Self::ContactUpdated(data) => Self::ContactUpdated(Box::new(data.without_content())),
            Self::PresenceUpdated(data) => Self::PresenceUpdated(Box::new(data.without_content())),
            Self::CallReceived(data) => Self::CallReceived(Box::new(data.without_content())),
            // Each by its name, so that nobody adds an event with content and forgets it here.
            data @ (Self::MessageStatus(_) | Self::WebhookTest(_) | Self::Session(..)) => data,
        }
    }
}

fn bare(data: MessageReceived) -> Box<MessageReceived> {
    Box::new(MessageReceived {
        content: data.content.without_content(),
        context: Context::default(),
        push_name: None,
        from: data.from.within(MAX_NAME),
        ..data
    })
}

/// The data itself: the type stands beside it.
impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::MessageReceived(data) | Self::MessageEdited(data) => data.serialize(serializer),
            Self::MessageRevoked(data) => data.serialize(serializer),
            Self::MessageReaction(data) => data.serialize(serializer),
            Self::PollVote(data) => data.serialize(serializer),
            Self::MessageStatus(data) => data.serialize(serializer),
            Self::GroupUpdated(data) => data.serialize(serializer),
            Self::GroupParticipants(data) => data.serialize(serializer),
            Self::ContactUpdated(data) => data.serialize(serializer),
            Self::PresenceUpdated(data) => data.serialize(serializer),
            Self::CallReceived(data) => data.serialize(serializer),
            Self::WebhookTest(data) => data.serialize(serializer),
            Self::Session(_, data) => data.serialize(serializer),
        }
    }
}

/// Content and numbers stay out of logs.
impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Data").field(&self.kind()).finish()
    }
}
