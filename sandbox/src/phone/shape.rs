//! How a message looks from outside: the attributes by which servers and recipients tell its kind without reading it.
//!
//! Clients derive them from the message, and so do phones, by the rules of WhatsApp Web: `type` and `edit` of the
//! `<message>`, `mediatype` and `decrypt-fail` of each `<enc>`, and a `<meta>` for polls, events and view-once media.

use wacore::proto_helpers::MessageExt as _;
use wacore::send::{media_type_from_message, should_hide_decrypt_fail_for_send, stanza_type_from_message};
use wacore::types::message::EditAttribute;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::secret_encrypted_message::SecretEncType;

/// The outside of one message.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// `text`, `media`, `poll`, `reaction` or `event`.
    pub(crate) stanza_type: &'static str,
    /// `1` edit, `2` pin, `7` revoke of an own message, `8` an admin's revoke.
    pub(crate) edit: Option<String>,
    /// `image`, `ptt`, `vcard`, …; media without it are dropped by the real server.
    pub(crate) media_type: Option<&'static str>,
    /// A device that cannot read it shows nothing in its place.
    pub(crate) hide_failure: bool,
    /// The `<meta>` that goes beside the ciphertexts.
    pub(crate) meta: Option<Node>,
}

impl Shape {
    /// The outside of `message`, which is not yet wrapped for an own device.
    pub(crate) fn of(message: &wa::Message) -> Self {
        let edit = EditAttribute::infer_from_message(message);
        Self {
            stanza_type: stanza_type_from_message(message),
            media_type: media_type_from_message(message),
            hide_failure: should_hide_decrypt_fail_for_send(edit.as_ref(), message),
            meta: meta(message),
            edit: edit.map(|edit| edit.to_string_val().to_owned()),
        }
    }

    /// An `<enc>` of this message; `count` where it is encrypted again.
    pub(crate) fn enc(&self, kind: &'static str, sealed: Vec<u8>, count: Option<u32>) -> Node {
        let mut builder = NodeBuilder::new("enc").attr("v", "2").attr("type", kind);
        if let Some(count) = count {
            builder = builder.attr("count", count);
        }
        if let Some(media_type) = self.media_type {
            builder = builder.attr("mediatype", media_type);
        }
        if self.hide_failure {
            builder = builder.attr("decrypt-fail", "hide");
        }
        builder.bytes(sealed).build()
    }
}

fn meta(message: &wa::Message) -> Option<Node> {
    let mut attrs = Vec::new();
    let poll = message.poll_creation_message.is_set()
        || message.poll_creation_message_v2.is_set()
        || message.poll_creation_message_v3.is_set();
    let vote = message.poll_update_message.as_option();
    let edits_event = |secret: &wa::message::SecretEncryptedMessage| {
        secret.secret_enc_type == Some(SecretEncType::EVENT_EDIT)
    };
    if poll {
        attrs.push(("polltype", "creation"));
    } else if vote.is_some_and(|update| update.vote.is_set()) {
        attrs.push(("polltype", "vote"));
    } else if message.event_message.is_set() {
        attrs.push(("event_type", "creation"));
    } else if message.enc_event_response_message.is_set() {
        attrs.push(("event_type", "response"));
    } else if message
        .secret_encrypted_message
        .as_option()
        .is_some_and(edits_event)
    {
        attrs.push(("event_type", "edit"));
    }
    if message.is_view_once() {
        attrs.push(("view_once", "true"));
    }
    (!attrs.is_empty()).then(|| {
        attrs
            .into_iter()
            .fold(NodeBuilder::new("meta"), |meta, (key, value)| {
                meta.attr(key, value)
            })
            .build()
    })
}

#[cfg(test)]
mod tests {
    use waproto::whatsapp::message::protocol_message::Type;

    use super::*;
    use crate::wire;

    fn protocol(kind: Type, from_me: bool) -> wa::Message {
        wa::Message {
            protocol_message: wa::message::ProtocolMessage {
                r#type: Some(kind),
                key: wa::MessageKey {
                    from_me: Some(from_me),
                    id: Some("3EB0".into()),
                    ..Default::default()
                }
                .into(),
                ..Default::default()
            }
            .into(),
            ..Default::default()
        }
    }

    #[test]
    fn edits_and_revokes_are_told_apart_from_outside() {
        let edit = Shape::of(&protocol(Type::MESSAGE_EDIT, true));
        assert_eq!((edit.stanza_type, edit.edit.as_deref()), ("text", Some("1")));
        assert!(edit.hide_failure);
        for (from_me, code) in [(true, "7"), (false, "8")] {
            let revoke = Shape::of(&protocol(Type::REVOKE, from_me));
            assert_eq!(revoke.edit.as_deref(), Some(code));
            // The real server drops revokes that hide their failure.
            assert!(!revoke.hide_failure);
        }
    }

    #[test]
    fn media_and_polls_say_what_they_are() {
        let voice = wa::Message {
            audio_message: wa::message::AudioMessage {
                ptt: Some(true),
                ..Default::default()
            }
            .into(),
            ..Default::default()
        };
        let shape = Shape::of(&voice);
        let enc = shape.enc("msg", vec![1], Some(2));
        assert_eq!(shape.stanza_type, "media");
        assert_eq!(wire::attr(&enc, "mediatype").as_deref(), Some("ptt"));
        assert_eq!(wire::attr(&enc, "count").as_deref(), Some("2"));
        let poll = wa::Message {
            poll_creation_message_v3: wa::message::PollCreationMessage::default().into(),
            ..Default::default()
        };
        let shape = Shape::of(&poll);
        let meta = shape.meta.expect("a meta");
        assert_eq!(shape.stanza_type, "poll");
        assert_eq!(wire::attr(&meta, "polltype").as_deref(), Some("creation"));
    }
}
