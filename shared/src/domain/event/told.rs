//! Events as they are told to whoever wants them: what webhooks post, and what the realtime feed carries.
//!
//! In the queue an event names its instance by its id, and rests sealed in the form in which it was made. Here that becomes
//! what callers see, in this one place. Most data is told as it rests; what messages say has one shape for all kinds, whose
//! members are always there.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::{ChatNames, Data, EventType, MessageReceived};
use crate::domain::content::{Ballot, Card, Content, Excerpt, File, Kind, Place, Quoted};
use crate::domain::instance::Instance;
use crate::domain::message::Truncation;
use crate::domain::person::Person;
use crate::domain::times;
use crate::ids::{EventId, InstanceId, MessageId};

/// An event as it is told, whoever tells it: the one envelope of webhooks and of the realtime feed.
///
/// `I` is the instance that it is of, as [`Whose`], or `null` where it is of none. `D` is what is told.
#[derive(Serialize)]
pub struct Told<I, D> {
    /// Its id, the same however often it is told.
    pub id: EventId,
    /// What happened: the name of an [`EventType`], or of something that the feed alone tells.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When.
    #[serde(serialize_with = "times::told")]
    pub timestamp: DateTime<Utc>,
    /// To which instance.
    pub instance: I,
    /// What is told of it.
    pub data: D,
}

/// The instance of an event.
#[derive(Clone, Copy, Serialize)]
pub struct Whose<'a> {
    /// Its id.
    pub id: InstanceId,
    /// Its name.
    pub name: &'a str,
    /// Its owner's own strings.
    pub metadata: &'a BTreeMap<String, String>,
}

impl<'a> Whose<'a> {
    /// This instance.
    pub fn of(instance: &'a Instance) -> Self {
        Self {
            id: instance.id,
            name: instance.name.as_str(),
            metadata: &instance.metadata,
        }
    }
}

/// The data of an event as it is told.
#[derive(Serialize)]
#[serde(untagged)]
pub enum ToldData<'a> {
    /// Of a message that came in, or says something else now.
    Message(Box<ToldMessage<'a>>),
    /// As it rests.
    AsItIs(&'a Data),
}

impl Data {
    /// Reads the data of an event of this type, as [`Data`] is written.
    pub fn read(kind: EventType, data: Value) -> serde_json::Result<Self> {
        use serde_json::from_value as read;

        Ok(match kind {
            EventType::MessageReceived => Self::MessageReceived(read(data)?),
            EventType::MessageEdited => Self::MessageEdited(read(data)?),
            EventType::MessageRevoked => Self::MessageRevoked(read(data)?),
            EventType::MessageReaction => Self::MessageReaction(read(data)?),
            EventType::PollVote => Self::PollVote(read(data)?),
            EventType::MessageStatus => Self::MessageStatus(read(data)?),
            EventType::GroupUpdated => Self::GroupUpdated(read(data)?),
            EventType::GroupParticipants => Self::GroupParticipants(read(data)?),
            EventType::ContactUpdated => Self::ContactUpdated(read(data)?),
            EventType::PresenceUpdated => Self::PresenceUpdated(read(data)?),
            EventType::CallReceived => Self::CallReceived(read(data)?),
            EventType::WebhookTest => Self::WebhookTest(read(data)?),
            EventType::SessionConnected
            | EventType::SessionDisconnected
            | EventType::SessionQr
            | EventType::SessionLoggedOut
            | EventType::SessionBanned => Self::Session(kind, read(data)?),
        })
    }

    /// The data as it is told.
    pub fn told(&self) -> ToldData<'_> {
        match self {
            Self::MessageReceived(data) | Self::MessageEdited(data) => {
                ToldData::Message(Box::new(ToldMessage::of(data)))
            }
            data => ToldData::AsItIs(data),
        }
    }
}

/// What is told of a message, whatever its kind.
#[derive(Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a member that the contract names"
)]
#[serde(rename_all = "camelCase")]
pub struct ToldMessage<'a> {
    id: MessageId,
    chat: ChatNames,
    from: Sender<'a>,
    from_me: bool,
    kind: Kind,
    /// The text, or the words beside what it shows.
    text: Option<&'a str>,
    #[serde(serialize_with = "times::told")]
    timestamp: DateTime<Utc>,
    #[serde(serialize_with = "times::told_if_any")]
    received_at: Option<DateTime<Utc>>,
    quoted: Option<Quote<'a>>,
    mentions: &'a [Person],
    forwarded: bool,
    view_once: bool,
    ephemeral_seconds: Option<u32>,
    media: Option<&'a File>,
    location: Option<&'a Place>,
    contacts: Option<&'a [Card]>,
    poll: Option<&'a Ballot>,
    truncated: bool,
    truncation_reason: Option<Truncation>,
}

#[derive(Serialize)]
struct Sender<'a> {
    #[serde(flatten)]
    person: &'a Person,
    /// The name that they show others.
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Quote<'a> {
    /// `null` where no message of that name is known here.
    id: Option<MessageId>,
    from: &'a Person,
    kind: Kind,
    text: Option<&'a str>,
}

impl<'a> Quote<'a> {
    fn of(quoted: &'a Quoted) -> Self {
        Self {
            id: quoted.id,
            from: &quoted.from,
            kind: quoted.kind,
            text: quoted.text.as_deref(),
        }
    }
}

impl<'a> ToldMessage<'a> {
    fn of(data: &'a MessageReceived) -> Self {
        // In a chat with a person the sender is the other side, unless the account itself has sent it.
        let nobody = Person::default();
        let other = if data.from_me { &nobody } else { &data.from };
        let context = &data.context;
        let mut told = Self {
            id: data.id,
            chat: ChatNames::of(&data.chat, other),
            from: Sender {
                person: &data.from,
                name: data.push_name.as_deref(),
            },
            from_me: data.from_me,
            kind: data.content.kind(),
            text: None,
            timestamp: data.timestamp,
            received_at: data.received_at,
            quoted: context.quoted.as_deref().map(Quote::of),
            mentions: &context.mentions,
            forwarded: context.forwarded,
            view_once: false,
            ephemeral_seconds: context.ephemeral_seconds,
            media: None,
            location: None,
            contacts: None,
            poll: None,
            truncated: data.truncated,
            truncation_reason: data.truncation_reason,
        };
        match &data.content {
            Excerpt::Content(said) => told.show(said),
            Excerpt::Reworded { text, .. } => told.text = Some(text),
            Excerpt::KindAlone { .. } => {}
        }
        told
    }

    fn show(&mut self, content: &'a Content) {
        match content.shown() {
            Content::Text(text) => self.text = Some(&text.text),
            Content::Location(location) => {
                self.text = location.text.as_deref();
                self.location = Some(&location.location);
            }
            Content::Contact(contact) => self.contacts = Some(&contact.contacts),
            Content::Poll(poll) => self.poll = Some(&poll.poll),
            Content::Image(media)
            | Content::Video(media)
            | Content::Audio(media)
            | Content::Voice(media)
            | Content::Document(media)
            | Content::Sticker(media) => {
                self.text = media.text.as_deref();
                self.media = Some(&media.media);
                self.view_once = media.view_once;
            }
            // These are told as events of their own; a status within a status is none.
            Content::Reaction(_)
            | Content::Edit(_)
            | Content::Revoke(_)
            | Content::Status(_)
            | Content::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::content::{Context, Media};

    fn received(chat: &str, content: Content) -> MessageReceived {
        MessageReceived {
            id: MessageId::from_bytes([1; 16]),
            chat: chat.parse().expect("a chat"),
            from: Person {
                phone: Some("15550100001".to_owned()),
                lid: Some("100000000000001".to_owned()),
            },
            from_me: false,
            push_name: Some("Ada".to_owned()),
            content: Excerpt::Content(content),
            context: Context::default(),
            timestamp: DateTime::UNIX_EPOCH,
            received_at: None,
            truncated: false,
            truncation_reason: None,
        }
    }

    /// Written as the queue has it, read, and told.
    fn told(kind: EventType, data: &Data) -> Value {
        let rests = serde_json::to_value(data).expect("plain data");
        let read = Data::read(kind, rests).expect("ours");
        assert!(read == *data, "it is read back");
        serde_json::to_value(read.told()).expect("plain data")
    }

    #[test]
    fn a_message_has_one_shape_whatever_its_kind() {
        let text = Data::MessageReceived(Box::new(received("15550100001", Content::text("hello"))));
        let told_text = told(EventType::MessageReceived, &text);
        assert_eq!(
            told_text,
            json!({
                "id": "msg_01040G2081040G2081040G2081",
                "chat": {"phone": "15550100001", "lid": "100000000000001", "group": null},
                "from": {"phone": "15550100001", "lid": "100000000000001", "name": "Ada"},
                "fromMe": false,
                "kind": "text",
                "text": "hello",
                "timestamp": "1970-01-01T00:00:00.000Z",
                "receivedAt": null,
                "quoted": null,
                "mentions": [],
                "forwarded": false,
                "viewOnce": false,
                "ephemeralSeconds": null,
                "media": null,
                "location": null,
                "contacts": null,
                "poll": null,
                "truncated": false,
                "truncationReason": null,
            })
        );
        let image = Content::Image(Media {
            text: Some("look".to_owned()),
            view_once: true,
            ..Media::default()
        });
        let image = Data::MessageReceived(Box::new(received("120363021033254949@g.us", image)));
        let told_image = told(EventType::MessageReceived, &image);
        let members =
            |told: &Value| -> Vec<String> { told.as_object().expect("an object").keys().cloned().collect() };
        assert_eq!(members(&told_image), members(&told_text));
        assert_eq!(
            told_image["chat"],
            json!({"phone": null, "lid": null, "group": "120363021033254949@g.us"})
        );
        assert_eq!(
            (&told_image["text"], &told_image["viewOnce"]),
            (&json!("look"), &json!(true))
        );
        assert_eq!(told_image["media"]["voice"], json!(false));
    }

    #[test]
    fn what_the_account_wrote_itself_names_the_chat_and_not_the_account() {
        let own = MessageReceived {
            from_me: true,
            ..received("15550100002", Content::text("better"))
        };
        let told = told(EventType::MessageEdited, &Data::MessageEdited(Box::new(own)));
        assert_eq!(
            told["chat"],
            json!({"phone": "15550100002", "lid": null, "group": null})
        );
        assert_eq!(told["from"]["phone"], "15550100001");
    }
}
