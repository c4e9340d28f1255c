//! What messages hold.

use shared::domain::message::Kind;
use wacore::proto_helpers::{MessageBuilderExt as _, MessageExt as _};
use waproto::whatsapp as wa;

use crate::store::is_stub;

/// A text with its secret.
pub fn text(text: &str, secret: [u8; 32]) -> wa::Message {
    wa::Message {
        message_context_info: buffa::MessageField::some(wa::MessageContextInfo {
            message_secret: Some(secret.to_vec()),
            ..wa::MessageContextInfo::default()
        }),
        ..wa::Message::text(text)
    }
}

/// What an incoming message is, and its text. `None` for what only clients have to do with
/// (key shares, settings, key distribution), which no one is told of.
pub fn read(message: &wa::Message) -> Option<(Kind, Option<String>)> {
    if let Some(text) = message.text_content() {
        return Some((Kind::Text, Some(text.to_owned())));
    }
    let base = message.get_base_message();
    if base.protocol_message.as_option().is_some() {
        return None;
    }
    let only_keys = wa::Message {
        sender_key_distribution_message: base.sender_key_distribution_message.clone(),
        message_context_info: base.message_context_info.clone(),
        ..wa::Message::default()
    };
    // On the wire's form: a part that is there but empty equals an absent one in memory.
    let encode = waproto::codec::message_to_vec;
    if encode(base) == encode(&only_keys) {
        return None;
    }
    Some((Kind::Unknown, None))
}

/// Whether a message without text is the stub of one that did not fit into the buffer, or does
/// not fit (`is_oversize`, by its bytes) and comes again as one.
pub fn is_cut(message: &wa::Message, is_oversize: fn(usize) -> bool) -> bool {
    is_stub(message) || is_oversize(waproto::codec::message_encoded_len(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_back() {
        let message = text("hello", [7; 32]);
        assert_eq!(read(&message), Some((Kind::Text, Some("hello".to_owned()))));
        let secret = message
            .message_context_info
            .as_option()
            .and_then(|info| info.message_secret.clone());
        assert_eq!(secret, Some(vec![7; 32]));
    }

    #[test]
    fn what_is_not_text_is_told_of_without_content() {
        let image = wa::Message {
            image_message: buffa::MessageField::some(wa::message::ImageMessage::default()),
            ..wa::Message::default()
        };
        assert_eq!(read(&image), Some((Kind::Unknown, None)));
    }

    #[test]
    fn what_is_for_clients_alone_is_not_told_of() {
        let protocol = wa::Message {
            protocol_message: buffa::MessageField::some(wa::message::ProtocolMessage::default()),
            ..wa::Message::default()
        };
        assert_eq!(read(&protocol), None);
        assert_eq!(read(&wa::Message::default()), None);
    }
}
