//! What a person may send, as the admin API and programs say it.
//!
//! Members that all kinds share stand beside those of the kind. Unknown members are refused by name.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A message to send.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct SendRequest {
    /// A number, `lid:<digits>`, or the JID of a person or group. A message that goes to a LID comes from a LID.
    /// `status` (or `status@broadcast`) stands for all the person's contacts.
    pub to: String,
    /// The id to send under; by default a new one. The same id twice is the same message twice.
    pub id: Option<String>,
    /// The id of the message that this one answers.
    pub reply_to: Option<String>,
    /// The people it mentions: numbers, LIDs or JIDs.
    pub mentions: Vec<String>,
    /// Whether it is shown as forwarded.
    pub forwarded: bool,
    /// Seconds after which it disappears.
    pub expires_in: Option<u32>,
    /// What it says.
    pub body: Body,
}

impl SendRequest {
    /// A message of any kind.
    pub fn new(to: impl Into<String>, body: Body) -> Self {
        Self {
            to: to.into(),
            body,
            ..Self::default()
        }
    }

    /// A text.
    pub fn text(to: impl Into<String>, text: impl Into<String>) -> Self {
        let text = Text {
            text: text.into(),
            preview: None,
        };
        Self::new(to, Body::Text(text))
    }

    /// A text as a status.
    pub fn status(text: impl Into<String>) -> Self {
        Self::text("status", text)
    }

    /// The same under `id`.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same as the answer to the message with this id.
    #[must_use]
    pub fn in_reply_to(mut self, id: impl Into<String>) -> Self {
        self.reply_to = Some(id.into());
        self
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:literal => $variant:ident($type:ty),)+) => {
        /// The content of a message, by kind.
        #[derive(Debug, Clone)]
        pub enum Body {
            $($(#[$doc])* $variant($type),)+
        }

        impl Body {
            /// The kind's name.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            fn read(kind: &str, members: Value) -> Result<Self, String> {
                match kind {
                    $($name => Ok(Self::$variant(read(members)?)),)+
                    _ => Err(format!("`kind` is one of {}", [$($name),+].join(", "))),
                }
            }
        }
    };
}

kinds! {
    /// A text, perhaps with the preview of a link in it.
    "text" => Text(Text),
    /// An image.
    "image" => Image(File),
    /// A video.
    "video" => Video(File),
    /// A round video.
    "video-note" => VideoNote(File),
    /// Music and the like.
    "audio" => Audio(File),
    /// A voice message.
    "voice" => Voice(File),
    /// Any file.
    "document" => Document(File),
    /// A sticker.
    "sticker" => Sticker(File),
    /// A place.
    "location" => Location(Location),
    /// Where the person is, for a while.
    "live-location" => LiveLocation(LiveLocation),
    /// One contact.
    "contact" => Contact(Contact),
    /// Several contacts.
    "contacts" => Contacts(Contacts),
    /// A poll.
    "poll" => Poll(Poll),
    /// The choice in somebody's poll; it takes the place of an earlier one.
    "poll-vote" => PollVote(PollVote),
    /// A reaction; an empty one takes it back.
    "reaction" => Reaction(Reaction),
    /// Another text in place of that of an own message.
    "edit" => Edit(Edit),
    /// Takes a message back.
    "revoke" => Revoke(Revoke),
    /// Pins a message in its chat, or no longer.
    "pin" => Pin(Pin),
    /// After how long messages of the chat disappear.
    "disappearing" => Disappearing(Disappearing),
    /// An event that people can say they come to.
    "event" => Event(Event),
    /// Whether the person comes.
    "event-response" => EventResponse(EventResponse),
    /// Any protobuf at all, sent as it is.
    "raw" => Raw(Raw),
}

impl Body {
    /// Whether it can be a status: it needs neither a chat nor another message, or it revokes a status.
    pub(super) fn is_for_statuses(&self) -> bool {
        !matches!(
            self,
            Self::PollVote(_)
                | Self::EventResponse(_)
                | Self::Reaction(_)
                | Self::Edit(_)
                | Self::Pin(_)
                | Self::Disappearing(_)
        )
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(Text::default())
    }
}

/// A kind's members.
macro_rules! members {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Default, Deserialize)]
            #[serde(rename_all = "camelCase", deny_unknown_fields)]
            pub struct $name {
                $($(#[$field_meta])* pub $field: $type,)*
            }
        )+
    };
}

members! {
    /// A text.
    Text {
        /// 1 to 65,536 bytes.
        text: String,
        /// Of a link that stands in the text.
        preview: Option<Preview>,
    }
    /// The preview of a link.
    Preview {
        /// As it stands in the text.
        url: String,
        /// The page's title.
        title: Option<String>,
        /// The page's description.
        description: Option<String>,
    }
    /// A file of any of the media kinds.
    File {
        /// The bytes, in base64.
        base64: String,
        /// Without one the kind's usual type.
        #[serde(alias = "mime")]
        mime_type: Option<String>,
        /// Of images, videos and documents.
        caption: Option<String>,
        /// Of documents.
        file_name: Option<String>,
        /// The length of what plays.
        seconds: Option<u32>,
        /// Of images, videos and voice messages: can be opened once.
        #[serde(default)]
        view_once: bool,
        /// Of videos: plays by itself, over and over.
        #[serde(default)]
        gif: bool,
    }
    /// A place.
    Location {
        /// Degrees, -90 to 90.
        latitude: f64,
        /// Degrees, -180 to 180.
        longitude: f64,
        /// What it is called.
        name: Option<String>,
        /// Where it is, in words.
        address: Option<String>,
    }
    /// Where a person is.
    LiveLocation {
        /// Degrees, -90 to 90.
        latitude: f64,
        /// Degrees, -180 to 180.
        longitude: f64,
        /// Shown below the map.
        caption: Option<String>,
        /// How long it is shared.
        seconds: Option<u32>,
        /// Counts up with each update.
        sequence: Option<i64>,
    }
    /// A contact: a name with a number, or a vCard.
    Contact {
        /// Shown for it. Can be left out beside a vCard that has an `FN`.
        name: Option<String>,
        /// Digits.
        phone: Option<String>,
        /// The card itself.
        vcard: Option<String>,
    }
    /// Contacts.
    Contacts {
        /// 2 to 257 of them.
        contacts: Vec<Contact>,
    }
    /// A poll.
    Poll {
        /// 1 to 255 characters.
        question: String,
        /// 2 to 12, each of 1 to 100 characters, none twice.
        options: Vec<String>,
        /// How many may be chosen: 1 by default, 0 for any number.
        selectable: Option<u32>,
    }
    /// A vote.
    PollVote {
        /// The poll.
        message_id: String,
        /// The options chosen, as the poll words them; none takes the vote back.
        options: Vec<String>,
    }
    /// A reaction.
    Reaction {
        /// The message reacted to.
        message_id: String,
        /// At most 32 bytes; empty takes the reaction back.
        emoji: String,
    }
    /// An edit.
    Edit {
        /// An own message.
        message_id: String,
        /// The new text or caption.
        text: String,
        /// Whether it goes encrypted under the message's secret, as newer clients send it.
        #[serde(default)]
        sealed: bool,
    }
    /// A revoke.
    Revoke {
        /// The message to take back.
        message_id: String,
    }
    /// A pin.
    Pin {
        /// The message.
        message_id: String,
        /// False to unpin.
        pinned: Option<bool>,
        /// 86,400, 604,800 or 2,592,000; a week by default.
        seconds: Option<u32>,
    }
    /// A timer.
    Disappearing {
        /// 0 (never), 86,400, 604,800 or 7,776,000.
        seconds: u32,
    }
    /// An event.
    Event {
        /// 1 to 255 characters.
        name: String,
        /// What it is about.
        description: Option<String>,
        /// Unix seconds.
        start_time: i64,
        /// Unix seconds, not before the start.
        end_time: Option<i64>,
        /// Where it takes place, in words.
        location: Option<String>,
        /// Whether it is called off.
        #[serde(default)]
        cancelled: bool,
    }
    /// An answer to an event.
    EventResponse {
        /// The event.
        message_id: String,
        /// `going`, `not-going` or `maybe`.
        response: String,
    }
    /// Any message.
    Raw {
        /// A `Message` protobuf in base64.
        protobuf: String,
    }
}

impl TryFrom<Map<String, Value>> for SendRequest {
    type Error = String;

    fn try_from(mut members: Map<String, Value>) -> Result<Self, String> {
        let kind: String = take(&mut members, "kind")?.ok_or("`kind` is missing")?;
        Ok(Self {
            to: take(&mut members, "to")?.ok_or("`to` is missing")?,
            id: take(&mut members, "id")?,
            reply_to: take(&mut members, "replyTo")?,
            mentions: take(&mut members, "mentions")?.unwrap_or_default(),
            forwarded: take(&mut members, "forwarded")?.unwrap_or_default(),
            expires_in: take(&mut members, "expiresIn")?,
            body: Body::read(&kind, Value::Object(members))?,
        })
    }
}

fn take<T: DeserializeOwned>(members: &mut Map<String, Value>, name: &str) -> Result<Option<T>, String> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value)
            .map(Some)
            .map_err(|error| format!("`{name}`: {error}")),
    }
}

fn read<T: DeserializeOwned>(members: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(members).map_err(|error| match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("`{path}`: {}", error.inner()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> String {
        serde_json::from_str::<SendRequest>(body).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, named) in [
            (r#"{"kind": "text", "text": "hi"}"#, "`to`"),
            (r#"{"to": "1", "text": "hi"}"#, "`kind`"),
            (r#"{"to": "1", "kind": "smell"}"#, "poll-vote"),
            (r#"{"to": "1", "kind": "text"}"#, "`text`"),
            (r#"{"to": "1", "kind": "text", "text": 5}"#, "`text`"),
            (
                r#"{"to": "1", "kind": "text", "text": "a", "colour": 1}"#,
                "`colour`",
            ),
            (
                r#"{"to": "1", "kind": "text", "text": "a", "mentions": "2"}"#,
                "`mentions`",
            ),
            (
                r#"{"to": "1", "kind": "text", "text": "a", "preview": {"url": 3}}"#,
                "`preview.url`",
            ),
            (r#"{"to": "1", "kind": "reaction", "emoji": ""}"#, "`messageId`"),
        ] {
            let error = error(body);
            assert!(error.contains(named), "{body}: {error}");
        }
    }

    #[test]
    fn common_members_stand_beside_those_of_the_kind() {
        let body = r#"{"to": "1", "kind": "poll", "question": "?", "options": ["a", "b"], "replyTo": "A", "id": "B"}"#;
        let request: SendRequest = serde_json::from_str(body).unwrap();
        assert_eq!(
            (request.reply_to.as_deref(), request.id.as_deref()),
            (Some("A"), Some("B"))
        );
        assert_eq!(request.body.kind(), "poll");
    }
}
