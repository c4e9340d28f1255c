//! What the daemon tells the world: webhooks read it from the events queue, the realtime feed from the daemon itself.

mod about;
mod call;
mod contact;
mod data;
mod group;
mod poll;
mod presence;
mod sample;
mod session;
mod status;
mod told;
mod wants;
mod webhook_test;
mod words;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::content::{self, Context, Excerpt};
use super::message::Truncation;
use super::payload::{self, Payload, newest};
use super::person::Person;
use super::recipient::Recipient;
use super::text_enum;
use crate::ids::{EventId, InstanceId, MessageId, SubscriptionId};
use crate::trace::{self, TraceContext};

pub use self::about::{MessageReaction, MessageRevoked};
pub use self::call::{CallReceived, MAX_CALL_ID};
pub use self::contact::{ContactChanges, ContactUpdated, MAX_ABOUT, MAX_CONTACT_WORDS, NumberChange};
pub use self::data::Data;
pub use self::group::{
    GroupChanges, GroupParticipants, GroupUpdated, InviteLinkChange, JoinReason, MAX_DESCRIPTION,
    MAX_PARTICIPANTS, MAX_SUBJECT, ParticipantsAction,
};
pub use self::poll::{OptionVotes, PollVote};
pub use self::presence::{PresenceState, PresenceUpdated};
pub use self::session::{SessionChange, SessionNews, Untold};
pub use self::status::{ChatNames, MessageStatus};
pub use self::told::{Told, ToldData, ToldMessage, Whose};
pub use self::wants::Wants;
pub use self::webhook_test::{TEST_WORDS, WebhookTest};
pub use self::words::{PictureChange, Words};

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal from $version:literal;)+) => {
        text_enum! {
            /// What happened.
            EventType {
                $($(#[$doc])* $name = $text,)+
            }
        }

        impl EventType {
            /// The version of the newest type.
            pub const NEWEST: u32 = newest(&[$($version),+]);

            /// The version that a reader of events must know to know this type. Types and
            /// [kinds](crate::domain::content::Kind) count as one, and the [`Context`] with them: a new type takes the
            /// version after the newest of all.
            pub const fn needs(self) -> u32 {
                match self {
                    $(Self::$name => $version,)+
                }
            }
        }
    };
}

event_types! {
    /// A message arrived.
    MessageReceived = "message.received" from 1;
    /// A message that was accepted here has come further.
    MessageStatus = "message.status" from 1;
    /// An instance is connected.
    SessionConnected = "session.connected" from 1;
    /// An instance's connection is lost, or was ended.
    SessionDisconnected = "session.disconnected" from 1;
    /// A QR code waits to be scanned.
    SessionQr = "session.qr" from 1;
    /// An instance is not linked to its phone any more.
    SessionLoggedOut = "session.logged_out" from 1;
    /// WhatsApp has closed an instance's account.
    SessionBanned = "session.banned" from 1;
    /// A message says something else now.
    MessageEdited = "message.edited" from 8;
    /// A message was taken back.
    MessageRevoked = "message.revoked" from 9;
    /// Somebody has reacted to a message, or taken a reaction back.
    MessageReaction = "message.reaction" from 10;
    /// Somebody votes on a poll.
    PollVote = "poll.vote" from 11;
    /// Something about a group is changed.
    GroupUpdated = "group.updated" from 23;
    /// People come into a group, go, become its admins or are that no more.
    GroupParticipants = "group.participants" from 23;
    /// Something about a contact is changed.
    ContactUpdated = "contact.updated" from 24;
    /// Somebody is there or not, or writes.
    PresenceUpdated = "presence.updated" from 25;
    /// Somebody calls.
    CallReceived = "call.received" from 25;
    /// Somebody tries whether a webhook's endpoint gets events.
    WebhookTest = "webhook.test" from 28;
}

/// An event in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Derived from what it tells of, so a redelivery has the same id.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// To which instance.
    pub instance: InstanceId,
    /// The instance's subscription.
    pub subscription: SubscriptionId,
    /// The version that a reader must know to get the data right: see [`Payload::needs`].
    #[serde(default = "payload::first", skip_serializing_if = "payload::is_first")]
    pub needs: u32,
    /// The span that queued it, where tracing is on. Nothing but traces depends on it.
    #[serde(
        default,
        deserialize_with = "trace::context::lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub trace: Option<TraceContext>,
    /// The event's [`Data`], [sealed](crate::sealed) as that of the event.
    pub data: String,
}

impl Payload for Event {
    const READS: u32 = newest(&[content::NEWEST, EventType::NEWEST]);

    fn needs(&self) -> u32 {
        self.needs
    }
}

/// The data of [`EventType::MessageReceived`], and of [`EventType::MessageEdited`], where it is the message that was edited
/// with its new words, and the times are the edit's.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageReceived {
    /// The message's id.
    pub id: MessageId,
    /// The chat it came in.
    pub chat: Recipient,
    /// Who sent it.
    pub from: Person,
    /// Whether that is the account itself, from another of its devices.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_me: bool,
    /// The name that the sender shows others.
    pub push_name: Option<String>,
    /// What it says, and what it is.
    #[serde(flatten)]
    pub content: Excerpt,
    /// What stands beside that.
    #[serde(flatten)]
    pub context: Context,
    /// When WhatsApp says it was sent, in whole seconds.
    pub timestamp: DateTime<Utc>,
    /// When it came to us.
    #[serde(default)]
    pub received_at: Option<DateTime<Utc>>,
    /// Whether the content is not whole, or not there.
    #[serde(default)]
    pub truncated: bool,
    /// Why.
    #[serde(default)]
    pub truncation_reason: Option<Truncation>,
}

/// The queue's message group of an instance's events that are of no chat: order holds among them.
pub fn message_group_of_session(instance: InstanceId) -> String {
    format!("{instance}#session")
}

/// The queue's message group of an instance's test events: they wait behind no other.
pub fn message_group_of_tests(instance: InstanceId) -> String {
    format!("{instance}#test")
}

/// The queue's message group of an event that is of a chat: order holds within the chat.
pub fn message_group_of_chat(instance: InstanceId, chat: &Recipient) -> String {
    use sha2::{Digest, Sha256};
    // The chat itself is a phone number and has no place in a queue's clear text.
    format!("{instance}#{}", hex::encode(&Sha256::digest(chat.to_jid())[..8]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::content::{Content, Kind};
    use crate::domain::payload::{PayloadError, decode, encode};

    /// As the build before wrote them.
    const EVENT: &str = concat!(
        r#"{"v":1,"id":"evt_01JD0000000000000000000000","type":"message.received","#,
        r#""timestamp":"2026-01-01T00:00:00Z","instance":"inst_01JD0000000000000000000000","#,
        r#""subscription":"sub_01JD0000000000000000000000","data":"c2VhbGVk"}"#,
    );
    const DATA: &str = concat!(
        r#"{"id":"msg_01JD0000000000000000000000","chat":"15550100001@s.whatsapp.net","#,
        r#""from":{"phone":"15550100001","lid":null},"pushName":"Ada","kind":"text","#,
        r#""text":"hello","timestamp":"2026-01-01T00:00:00Z"}"#,
    );

    #[test]
    fn an_event_of_before_is_read_and_written_alike() {
        let event: Event = decode(EVENT).expect("an event");
        assert_eq!(event.needs(), 1);
        assert_eq!(encode(&event), EVENT);
        let data: MessageReceived = serde_json::from_str(DATA).expect("its data");
        assert!(data.content == Excerpt::Content(Content::text("hello")));
        assert!(data.context == Context::default());
        let stub = DATA.replace(r#""hello""#, "null");
        let data: MessageReceived = serde_json::from_str(&stub).expect("its data");
        assert!(data.content == Excerpt::KindAlone { kind: Kind::Text });
        let json = serde_json::to_value(&data).expect("plain data");
        assert_eq!(json["kind"], "text");
    }

    #[test]
    fn a_trace_is_carried_and_nobody_needs_to_know_it() {
        const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let event: Event = decode(EVENT).expect("an event");
        let trace = Some(TRACE.parse().expect("well-formed"));
        let body = encode(&Event { trace, ..event });
        assert!(body.starts_with(r#"{"v":1,"#), "{body}");
        assert_eq!(decode::<Event>(&body).expect("an event").trace, trace);
    }

    #[test]
    fn kinds_and_types_of_events_count_their_versions_as_one() {
        // The types of the first day are of version 1, as the first kind is. From then on a version is of one row, or of
        // rows of one table that came together: a build knows all of them or none. A number may be left out.
        let of = |versions: &mut dyn Iterator<Item = u32>| -> BTreeSet<u32> { versions.collect() };
        let kinds = of(&mut Kind::SENT.iter().map(|kind| kind.needs()));
        let types = of(&mut EventType::ALL
            .iter()
            .map(|kind| kind.needs())
            .filter(|needs| *needs > 1));
        let members = of(&mut content::MEMBERS.into_iter());
        let tables = [&kinds, &types, &members, &BTreeSet::from([Context::VERSION])];
        let all: BTreeSet<u32> = tables.iter().copied().flatten().copied().collect();
        let each: usize = tables.iter().map(|table| table.len()).sum();
        assert_eq!(all.len(), each, "{tables:?}");
        assert_eq!(all.last(), Some(&Event::READS));
    }

    /// An event as a build would write it that knows one type more, or one kind.
    #[test]
    fn an_event_that_needs_a_newer_reader_is_left_to_it() {
        let kinds = Kind::SENT.iter().map(|kind| kind.needs());
        let types = EventType::ALL.iter().map(|kind| kind.needs());
        let members = content::MEMBERS.into_iter().chain([Context::VERSION]);
        let next = kinds.chain(types).chain(members).max().expect("some") + 1;
        let of_next = EVENT.replace(r#""v":1"#, &format!(r#""v":{next},"needs":{next}"#));
        let of_type = of_next.replace("message.received", "message.levitated");
        for event in [of_next, of_type] {
            let read = decode::<Event>(&event);
            assert!(
                matches!(read, Err(PayloadError::Newer(v)) if v == next),
                "{event}"
            );
        }
    }
}
