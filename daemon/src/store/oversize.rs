//! Incoming messages that are too large to be buffered.
//!
//! A sender chooses how large a message is, and the table takes items of 400 KB. What is larger
//! is buffered as a stub, from which the same is told as from the message itself: its text as
//! far as anybody is told of it, or that there was something. So no sender can take a session
//! down with a message that is never stored and therefore comes for ever.

use shared::session_state::MAX_VALUE_LENGTH;
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;

/// As much text as is told of, in characters: what WhatsApp's apps let one write.
pub const MAX_TEXT: usize = shared::domain::content::MAX_TOLD;

/// Bytes before a buffered message: its time.
const STAMP: usize = 8;

/// Whether a message of this many bytes is buffered as a stub.
pub fn is_oversize(bytes: usize) -> bool {
    bytes > MAX_VALUE_LENGTH - STAMP
}

/// What is buffered of a message in its place.
pub fn stub(message: &[u8]) -> Vec<u8> {
    // What the library has encoded it can decode.
    let message = waproto::codec::message_decode(message).unwrap_or_default();
    waproto::codec::message_to_vec(&stub_of(&message))
}

fn stub_of(message: &wa::Message) -> wa::Message {
    if let Some(text) = message.text_content() {
        return wa::Message {
            // One character more than is told of, so that what is left out shows.
            conversation: Some(text.chars().take(MAX_TEXT + 1).collect()),
            ..wa::Message::default()
        };
    }
    if message.get_base_message().protocol_message.is_set() {
        return wa::Message {
            protocol_message: buffa::MessageField::some(wa::message::ProtocolMessage::default()),
            ..wa::Message::default()
        };
    }
    wa::Message {
        // Without a type, as WhatsApp sends none.
        placeholder_message: buffa::MessageField::some(wa::message::PlaceholderMessage::default()),
        ..wa::Message::default()
    }
}

/// Whether a message is the stub of one that had no text.
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
    }
}
