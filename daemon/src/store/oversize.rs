//! Incoming messages that are too large to be buffered.
//!
//! A sender chooses how large a message is, and the table takes items of 400 KB. A larger message is buffered as a
//! stub. It has all that records and events tell of the message: the beginning of its text, or that there was
//! something. So no sender can take a session down with a message that cannot be stored and therefore comes again for
//! ever.

use shared::session_state::MAX_VALUE_LENGTH;
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;

/// The most characters of a text that an event tells: what WhatsApp's apps let one write.
pub const MAX_TEXT: usize = shared::domain::content::MAX_TOLD;

/// Bytes before a buffered message: its time.
const STAMP: usize = 8;

/// Whether a message of this many bytes is buffered as a stub.
pub fn is_oversize(bytes: usize) -> bool {
    bytes > MAX_VALUE_LENGTH - STAMP
}

/// The stub that is buffered in a message's place.
pub fn stub(message: &[u8]) -> Vec<u8> {
    // The library has encoded it, and can decode it.
    let message = waproto::codec::message_decode(message).unwrap_or_default();
    waproto::codec::message_to_vec(&stub_of(&message))
}

fn stub_of(message: &wa::Message) -> wa::Message {
    if let Some(text) = message.text_content() {
        return wa::Message {
            // One character more than is told, to show that the text was longer.
            conversation: Some(text.chars().take(MAX_TEXT + 1).collect()),
            ..wa::Message::default()
        };
    }
    if let Some(protocol) = message.get_base_message().protocol_message.as_option() {
        let edited = protocol
            .edited_message
            .as_option()
            .and_then(|edited| edited.text_content());
        return wa::Message {
            protocol_message: buffa::MessageField::some(match edited {
                // An edit, as far as it is told.
                Some(text) => wa::message::ProtocolMessage {
                    key: protocol.key.clone(),
                    r#type: protocol.r#type,
                    edited_message: buffa::MessageField::some(wa::Message {
                        conversation: Some(text.chars().take(MAX_TEXT + 1).collect()),
                        ..wa::Message::default()
                    }),
                    ..wa::message::ProtocolMessage::default()
                },
                None => wa::message::ProtocolMessage::default(),
            }),
            ..wa::Message::default()
        };
    }
    wa::Message {
        // Without a type, as WhatsApp sends none.
        placeholder_message: buffa::MessageField::some(wa::message::PlaceholderMessage::default()),
        ..wa::Message::default()
    }
}

/// Whether a message is a stub of a message without text.
pub fn is_stub(message: &wa::Message) -> bool {
    let placeholder = message.placeholder_message.as_option();
    placeholder.is_some_and(|placeholder| placeholder.r#type.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(message: &wa::Message) -> wa::Message {
        let stub = stub(&waproto::codec::message_to_vec(message));
        assert!(!is_oversize(stub.len()));
        waproto::codec::message_decode(&stub).expect("a message")
    }

    #[test]
    fn a_text_keeps_what_is_told_of_it_and_more() {
        let text = "\u{1F4AC}".repeat(400_000);
        let message = wa::Message {
            conversation: Some(text),
            ..wa::Message::default()
        };
        let stub = read_back(&message);
        let kept = stub.text_content().expect("a text").chars().count();
        assert_eq!(kept, MAX_TEXT + 1);
        assert!(!is_stub(&stub));
    }

    #[test]
    fn what_has_no_text_stays_something_and_what_is_for_clients_stays_that() {
        let image = wa::Message {
            image_message: buffa::MessageField::some(wa::message::ImageMessage {
                jpeg_thumbnail: Some(vec![7; 500_000]),
                ..wa::message::ImageMessage::default()
            }),
            ..wa::Message::default()
        };
        assert!(is_stub(&read_back(&image)) && !is_stub(&image));
        let protocol = wa::Message {
            protocol_message: buffa::MessageField::some(wa::message::ProtocolMessage::default()),
            ..wa::Message::default()
        };
        let stub = read_back(&protocol);
        assert!(stub.protocol_message.is_set() && !is_stub(&stub));
        let edit = wa::Message {
            protocol_message: buffa::MessageField::some(wa::message::ProtocolMessage {
                key: buffa::MessageField::some(wa::MessageKey {
                    id: Some("3AFF01".to_owned()),
                    ..wa::MessageKey::default()
                }),
                edited_message: buffa::MessageField::some(wa::Message {
                    conversation: Some("x".repeat(500_000)),
                    ..wa::Message::default()
                }),
                ..wa::message::ProtocolMessage::default()
            }),
            ..wa::Message::default()
        };
        let stub = read_back(&edit);
        let words = stub.protocol_message.edited_message.text_content();
        assert_eq!(words.expect("a text").len(), MAX_TEXT + 1);
        assert_eq!(stub.protocol_message.key.id.as_deref(), Some("3AFF01"));
    }
}
