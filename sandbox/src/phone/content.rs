//! What a decrypted message says, as an inbox shows it.

use serde::{Deserialize, Serialize};
use waproto::whatsapp as wa;

/// The visible part of a message. Members that a kind does not have are null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Content {
    /// `text`, `image`, `video`, `audio`, `document`, `sticker`, `location`, `contact`, `poll`, `reaction` or `other`.
    pub(crate) kind: String,
    /// The text, or a caption.
    pub(crate) text: Option<String>,
    /// SHA-256 of the media that the phone fetched and opened, in hex; null until it has.
    pub(crate) media_sha256: Option<String>,
    pub(crate) file_name: Option<String>,
    /// Degrees.
    pub(crate) latitude: Option<f64>,
    /// Degrees.
    pub(crate) longitude: Option<f64>,
    /// The id of the message that this one quotes.
    pub(crate) quoted: Option<String>,
}

impl Content {
    /// Reads `message`; `None` for those that a person never sees (key shares, protocol messages).
    pub(crate) fn read(message: &wa::Message) -> Option<Self> {
        if let Some(text) = &message.conversation {
            return Some(Self {
                text: Some(text.clone()),
                ..Self::of("text")
            });
        }
        if let Some(extended) = message.extended_text_message.as_option() {
            let quoted = quoted(extended.context_info.as_option());
            return Some(Self {
                text: extended.text.clone(),
                quoted,
                ..Self::of("text")
            });
        }
        Self::media(message).or_else(|| Self::other(message))
    }

    fn media(message: &wa::Message) -> Option<Self> {
        macro_rules! media {
            ($field:ident, $kind:literal, $text:expr, $name:expr) => {
                if let Some(media) = message.$field.as_option() {
                    let text: fn(&_) -> Option<String> = $text;
                    let name: fn(&_) -> Option<String> = $name;
                    return Some(Self {
                        text: text(media),
                        file_name: name(media),
                        quoted: quoted(media.context_info.as_option()),
                        ..Self::of($kind)
                    });
                }
            };
        }
        media!(
            image_message,
            "image",
            |m: &wa::message::ImageMessage| m.caption.clone(),
            |_| None
        );
        media!(
            video_message,
            "video",
            |m: &wa::message::VideoMessage| m.caption.clone(),
            |_| None
        );
        media!(audio_message, "audio", |_| None, |_| None);
        media!(sticker_message, "sticker", |_| None, |_| None);
        media!(
            document_message,
            "document",
            |m: &wa::message::DocumentMessage| m.caption.clone(),
            |m: &wa::message::DocumentMessage| m.file_name.clone()
        );
        None
    }

    fn other(message: &wa::Message) -> Option<Self> {
        if let Some(location) = message.location_message.as_option() {
            return Some(Self {
                text: location.name.clone(),
                latitude: location.degrees_latitude,
                longitude: location.degrees_longitude,
                quoted: quoted(location.context_info.as_option()),
                ..Self::of("location")
            });
        }
        if let Some(contact) = message.contact_message.as_option() {
            return Some(Self {
                text: contact.display_name.clone(),
                ..Self::of("contact")
            });
        }
        if let Some(reaction) = message.reaction_message.as_option() {
            let quoted = reaction.key.as_option().and_then(|key| key.id.clone());
            return Some(Self {
                text: reaction.text.clone(),
                quoted,
                ..Self::of("reaction")
            });
        }
        if let Some(poll) = message.poll_creation_message_v3.as_option() {
            return Some(Self {
                text: poll.name.clone(),
                ..Self::of("poll")
            });
        }
        let hidden = message.protocol_message.is_set() || message.sender_key_distribution_message.is_set();
        (!hidden).then(|| Self::of("other"))
    }

    fn of(kind: &str) -> Self {
        Self {
            kind: kind.into(),
            ..Self::default()
        }
    }
}

fn quoted(context: Option<&wa::ContextInfo>) -> Option<String> {
    context.and_then(|context| context.stanza_id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_what_they_quote() {
        let plain = wa::Message {
            conversation: Some("hi".into()),
            ..Default::default()
        };
        assert_eq!(Content::read(&plain).unwrap().text.as_deref(), Some("hi"));
        let reply = wa::Message {
            extended_text_message: wa::message::ExtendedTextMessage {
                text: Some("yes".into()),
                context_info: wa::ContextInfo {
                    stanza_id: Some("3EB0".into()),
                    ..Default::default()
                }
                .into(),
                ..Default::default()
            }
            .into(),
            ..Default::default()
        };
        let content = Content::read(&reply).unwrap();
        assert_eq!(
            (content.kind.as_str(), content.quoted.as_deref()),
            ("text", Some("3EB0"))
        );
    }

    #[test]
    fn protocol_messages_are_not_shown() {
        let message = wa::Message {
            protocol_message: wa::message::ProtocolMessage::default().into(),
            ..Default::default()
        };
        assert_eq!(Content::read(&message), None);
    }
}
