//! What a decrypted message says, as an inbox shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as Protocol;

/// The visible part of a message. Members that a kind does not have are null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// What it is; the list is in the sandbox's documentation. What a phone does not know by name is `other`.
    pub kind: String,
    /// The text, or a caption, a name, a question, an emoji: what one would read aloud.
    pub text: Option<String>,
    /// SHA-256 of the media that the phone fetched and opened, in hex; null until it has.
    pub media_sha256: Option<String>,
    /// A document's.
    pub file_name: Option<String>,
    /// Degrees.
    pub latitude: Option<f64>,
    /// Degrees.
    pub longitude: Option<f64>,
    /// The id of the message that this one quotes, reacts to, votes on or pins.
    pub quoted: Option<String>,
    /// What the quote shows of that message's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted_text: Option<String>,
    /// The JID of whoever wrote the message that it quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted_from: Option<String>,
    /// The JIDs of the people whom it mentions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// Whether it is shown as forwarded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// What a text shows of the page that a link in it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Whether its author changed it after it was sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// The reactions to it that stand, one a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

/// What a text shows of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The link, as it stands in the text.
    pub url: String,
    /// What the page is called.
    pub title: Option<String>,
    /// What it says of itself.
    pub description: Option<String>,
    /// A small JPEG, in base64.
    pub thumbnail: Option<String>,
}

impl Preview {
    /// `None` where the text shows no page, or one that no link in it leads to: apps leave that out.
    fn of(text: &wa::message::ExtendedTextMessage) -> Option<Self> {
        let url = text.matched_text.as_ref().filter(|url| !url.is_empty())?;
        let is_linked = text.text.as_ref().is_some_and(|said| said.contains(url));
        is_linked.then(|| Self {
            url: url.clone(),
            title: text.title.clone(),
            description: text.description.clone(),
            thumbnail: text.jpeg_thumbnail.as_ref().map(|jpeg| STANDARD.encode(jpeg)),
        })
    }
}

/// A reaction, as the message shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// The number of whoever reacted.
    pub from: String,
    /// The emoji.
    pub text: String,
}

/// A kind in one field of the message: its text and what it quotes.
macro_rules! plain {
    ($message:expr, $($field:ident => $kind:expr, $text:expr;)+) => {
        $(if let Some(part) = $message.$field.as_option() {
            return Some(Content {
                text: $text(part),
                quoted: quoted(part.context_info.as_option()),
                ..Content::of($kind(part))
            });
        })+
    };
}

/// The same for media. Their hash is known once they are fetched.
macro_rules! media {
    ($message:expr, $($field:ident => $kind:expr, $text:expr, $name:expr;)+) => {
        $(if let Some(part) = $message.$field.as_option() {
            return Some(Content {
                text: $text(part),
                file_name: $name(part),
                quoted: quoted(part.context_info.as_option()),
                ..Content::of($kind(part))
            });
        })+
    };
}

/// A kind that names another message by its key.
macro_rules! about {
    ($message:expr, $($field:ident . $key:ident => $kind:expr, $text:expr;)+) => {
        $(if let Some(part) = $message.$field.as_option() {
            return Some(Content {
                text: $text(part),
                quoted: part.$key.as_option().and_then(|key| key.id.clone()),
                ..Content::of($kind(part))
            });
        })+
    };
}

impl Content {
    /// Reads `message`; `None` for those that are no message of their own: edits and revokes, and what phones say
    /// among themselves.
    pub(crate) fn read(message: &wa::Message) -> Option<Self> {
        let message = unwrapped(message);
        let content = Self::alone(message)?;
        let Some(beside) = context(message) else {
            return Some(content);
        };
        let quoted = beside.quoted_message.as_option().and_then(Self::read);
        Some(Self {
            quoted_text: quoted.and_then(|quoted| quoted.text),
            quoted_from: beside.participant.clone(),
            mentions: beside.mentioned_jid.clone(),
            forwarded: beside.is_forwarded == Some(true),
            ..content
        })
    }

    /// Without what stands beside the content, but for the quoted message's id.
    fn alone(message: &wa::Message) -> Option<Self> {
        if let Some(text) = &message.conversation {
            return Some(Self {
                text: Some(text.clone()),
                ..Self::of("text")
            });
        }
        if let Some(text) = message.extended_text_message.as_option() {
            return Some(Self {
                text: text.text.clone(),
                quoted: quoted(text.context_info.as_option()),
                preview: Preview::of(text),
                ..Self::of("text")
            });
        }
        Self::media(message)
            .or_else(|| Self::place_or_person(message))
            .or_else(|| Self::about_another(message))
            .or_else(|| Self::structured(message))
            .or_else(|| Self::rest(message))
    }

    fn media(message: &wa::Message) -> Option<Self> {
        media! { message,
            image_message => |_: &_| "image", |m: &wa::message::ImageMessage| m.caption.clone(), |_: &_| None;
            video_message => |_: &_| "video", |m: &wa::message::VideoMessage| m.caption.clone(), |_: &_| None;
            ptv_message => |_: &_| "video-note", |m: &wa::message::VideoMessage| m.caption.clone(), |_: &_| None;
            audio_message => |m: &wa::message::AudioMessage| if m.ptt == Some(true) { "voice" } else { "audio" },
                |_: &_| None, |_: &_| None;
            sticker_message => |_: &_| "sticker", |_: &_| None, |_: &_| None;
            document_message => |_: &_| "document", |m: &wa::message::DocumentMessage| m.caption.clone(),
                |m: &wa::message::DocumentMessage| m.file_name.clone();
        }
        None
    }

    fn place_or_person(message: &wa::Message) -> Option<Self> {
        if let Some(location) = message.location_message.as_option() {
            return Some(Self {
                text: location.name.clone(),
                latitude: location.degrees_latitude,
                longitude: location.degrees_longitude,
                quoted: quoted(location.context_info.as_option()),
                ..Self::of("location")
            });
        }
        if let Some(location) = message.live_location_message.as_option() {
            return Some(Self {
                text: location.caption.clone(),
                latitude: location.degrees_latitude,
                longitude: location.degrees_longitude,
                quoted: quoted(location.context_info.as_option()),
                ..Self::of("live-location")
            });
        }
        plain! { message,
            contact_message => |_: &_| "contact", |m: &wa::message::ContactMessage| m.display_name.clone();
            contacts_array_message => |_: &_| "contacts",
                |m: &wa::message::ContactsArrayMessage| m.display_name.clone();
            group_invite_message => |_: &_| "group-invite",
                |m: &wa::message::GroupInviteMessage| m.group_name.clone();
        }
        None
    }

    fn about_another(message: &wa::Message) -> Option<Self> {
        about! { message,
            reaction_message.key => |_: &_| "reaction", |m: &wa::message::ReactionMessage| m.text.clone();
            enc_reaction_message.target_message_key => |_: &_| "reaction", |_: &_| None;
            poll_update_message.poll_creation_message_key => |_: &_| "poll-vote", |_: &_| None;
            enc_event_response_message.event_creation_message_key => |_: &_| "event-response", |_: &_| None;
            enc_comment_message.target_message_key => |_: &_| "comment", |_: &_| None;
            pin_in_chat_message.key => pin_kind, |_: &_| None;
            keep_in_chat_message.key => |_: &_| "keep", |_: &_| None;
        }
        None
    }

    fn structured(message: &wa::Message) -> Option<Self> {
        let question: fn(&wa::message::PollCreationMessage) -> Option<String> = |poll| poll.name.clone();
        plain! { message,
            poll_creation_message => |_: &_| "poll", question;
            poll_creation_message_v2 => |_: &_| "poll", question;
            poll_creation_message_v3 => |_: &_| "poll", question;
            poll_creation_message_v5 => |_: &_| "poll", question;
            event_message => |_: &_| "event", |m: &wa::message::EventMessage| m.name.clone();
            list_message => |_: &_| "list",
                |m: &wa::message::ListMessage| m.description.clone().or_else(|| m.title.clone());
            list_response_message => |_: &_| "list-reply",
                |m: &wa::message::ListResponseMessage| m.title.clone();
            buttons_message => |_: &_| "buttons", |m: &wa::message::ButtonsMessage| m.content_text.clone();
            template_button_reply_message => |_: &_| "button-reply",
                |m: &wa::message::TemplateButtonReplyMessage| m.selected_display_text.clone();
            buttons_response_message => |_: &_| "button-reply",
                |m: &wa::message::ButtonsResponseMessage| m.selected_button_id.clone();
            interactive_message => |_: &_| "interactive", |m: &wa::message::InteractiveMessage| {
                m.body.as_option().and_then(|body| body.text.clone())
            };
            template_message => |_: &_| "interactive", |m: &wa::message::TemplateMessage| {
                m.hydrated_template.as_option().and_then(|template| template.hydrated_content_text.clone())
            };
            interactive_response_message => |_: &_| "interactive-reply",
                |m: &wa::message::InteractiveResponseMessage| {
                    m.body.as_option().and_then(|body| body.text.clone())
                };
        }
        None
    }

    fn rest(message: &wa::Message) -> Option<Self> {
        if let Some(protocol) = message.protocol_message.as_option() {
            return (protocol.r#type == Some(Protocol::EPHEMERAL_SETTING)).then(|| Self {
                text: Some(protocol.ephemeral_expiration.unwrap_or_default().to_string()),
                ..Self::of("disappearing")
            });
        }
        if message.call.is_set() || message.call_log_messsage.is_set() {
            return Some(Self::of("call"));
        }
        if message.secret_encrypted_message.is_set() {
            return None;
        }
        // The first message to a group brings only the key for the next ones.
        let nothing = wa::Message {
            sender_key_distribution_message: message.sender_key_distribution_message.clone(),
            message_context_info: message.message_context_info.clone(),
            ..Default::default()
        };
        (*message != nothing || !message.sender_key_distribution_message.is_set()).then(|| Self::of("other"))
    }

    /// What is left of a message that was revoked.
    pub(crate) fn revoked() -> Self {
        Self::of("revoked")
    }

    pub(crate) fn of(kind: &str) -> Self {
        Self {
            kind: kind.into(),
            ..Self::default()
        }
    }
}

fn pin_kind(pin: &wa::message::PinInChatMessage) -> &'static str {
    if pin.r#type == Some(wa::message::pin_in_chat_message::Type::UNPIN_FOR_ALL) {
        "unpin"
    } else {
        "pin"
    }
}

/// The message inside the wrappers that say how to show or keep it.
pub(crate) fn unwrapped(message: &wa::Message) -> &wa::Message {
    macro_rules! inside {
        ($($field:ident),+ $(,)?) => {
            $(if let Some(inner) = message.$field.as_option().and_then(|wrapper| wrapper.message.as_option()) {
                return unwrapped(inner);
            })+
        };
    }
    inside!(
        device_sent_message,
        ephemeral_message,
        view_once_message,
        view_once_message_v2,
        view_once_message_v2_extension,
        document_with_caption_message,
        edited_message,
        group_mentioned_message,
        associated_child_message,
        lottie_sticker_message,
        event_cover_image,
        poll_creation_option_image_message,
        poll_creation_message_v4,
        group_status_message,
        group_status_message_v2,
        status_mention_message,
        spoiler_message,
    );
    message
}

/// What stands beside the content, of the kinds that phones show it of.
fn context(message: &wa::Message) -> Option<&wa::ContextInfo> {
    macro_rules! of {
        ($($field:ident),+ $(,)?) => {
            None$(.or_else(|| message.$field.as_option().and_then(|part| part.context_info.as_option())))+
        };
    }
    of!(
        extended_text_message,
        image_message,
        video_message,
        ptv_message,
        audio_message,
        document_message,
        sticker_message,
        location_message,
        live_location_message,
        contact_message,
        contacts_array_message,
        poll_creation_message,
        poll_creation_message_v2,
        poll_creation_message_v3,
    )
}

fn quoted(context: Option<&wa::ContextInfo>) -> Option<String> {
    context.and_then(|context| context.stanza_id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(message: &wa::Message) -> Option<String> {
        Content::read(message).map(|content| content.kind)
    }

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
    fn a_page_is_shown_where_a_link_leads_to_it() {
        let text = |said: &str| wa::Message {
            extended_text_message: wa::message::ExtendedTextMessage {
                text: Some(said.into()),
                matched_text: Some("https://example.com".into()),
                title: Some("Example".into()),
                jpeg_thumbnail: Some(vec![1, 2, 3]),
                ..Default::default()
            }
            .into(),
            ..Default::default()
        };
        let shown = Content::read(&text("see https://example.com")).unwrap();
        let preview = Preview {
            url: "https://example.com".into(),
            title: Some("Example".into()),
            description: None,
            thumbnail: Some("AQID".into()),
        };
        assert_eq!(shown.preview, Some(preview));
        assert_eq!(Content::read(&text("see elsewhere")).unwrap().preview, None);
    }

    #[test]
    fn wrappers_are_seen_through() {
        let voice = wa::Message {
            audio_message: wa::message::AudioMessage {
                ptt: Some(true),
                ..Default::default()
            }
            .into(),
            ..Default::default()
        };
        let once = wa::Message {
            view_once_message_v2_extension: wa::message::FutureProofMessage {
                message: voice.into(),
            }
            .into(),
            ..Default::default()
        };
        let ephemeral = wa::Message {
            ephemeral_message: wa::message::FutureProofMessage { message: once.into() }.into(),
            ..Default::default()
        };
        let content = Content::read(&ephemeral).unwrap();
        assert_eq!(content.kind, "voice");
    }

    #[test]
    fn what_phones_say_among_themselves_is_not_shown() {
        let protocol = wa::Message {
            protocol_message: wa::message::ProtocolMessage::default().into(),
            ..Default::default()
        };
        assert_eq!(kind(&protocol), None);
        let key_alone = wa::Message {
            sender_key_distribution_message: wa::message::SenderKeyDistributionMessage::default().into(),
            ..Default::default()
        };
        assert_eq!(kind(&key_alone), None);
        let with_text = wa::Message {
            conversation: Some("hi".into()),
            ..key_alone
        };
        assert_eq!(kind(&with_text).as_deref(), Some("text"));
        let unknown = wa::Message {
            payment_invite_message: wa::message::PaymentInviteMessage::default().into(),
            ..Default::default()
        };
        assert_eq!(kind(&unknown).as_deref(), Some("other"));
    }
}
