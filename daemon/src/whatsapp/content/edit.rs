//! Edits.

use shared::domain::content::{Content, Edit};
use wacore::proto_helpers::{MessageBuilderExt as _, MessageExt as _};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type;

use super::target;

pub fn write(edit: &Edit) -> wa::Message {
    wa::Message {
        protocol_message: buffa::MessageField::some(wa::message::ProtocolMessage {
            key: buffa::MessageField::some(target::write(&edit.target)),
            r#type: Some(Type::MESSAGE_EDIT),
            edited_message: buffa::MessageField::some(wa::Message::text(&edit.text)),
            ..wa::message::ProtocolMessage::default()
        }),
        ..wa::Message::default()
    }
}

/// Plain, or as the library has decrypted it under the secret of its message.
pub fn read(message: &wa::Message) -> Option<Content> {
    let protocol = message.get_base_message().protocol_message.as_option()?;
    if protocol.r#type != Some(Type::MESSAGE_EDIT) {
        return None;
    }
    let edited = protocol.edited_message.as_option()?;
    Some(Content::Edit(Edit {
        target: target::read(protocol.key.as_option())?,
        text: words(edited)?.to_owned(),
    }))
}

/// A message's text or, where it shows something else, the words beside that.
fn words(message: &wa::Message) -> Option<&str> {
    if let Some(text) = message.text_content() {
        return Some(text);
    }
    let base = message.get_base_message();
    let is_media =
        base.image_message.is_set() || base.video_message.is_set() || base.document_message.is_set();
    is_media.then(|| base.get_caption().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit_of(edited: wa::Message) -> wa::Message {
        wa::Message {
            protocol_message: buffa::MessageField::some(wa::message::ProtocolMessage {
                key: buffa::MessageField::some(wa::MessageKey {
                    id: Some("3AFF01".to_owned()),
                    from_me: Some(true),
                    ..wa::MessageKey::default()
                }),
                r#type: Some(Type::MESSAGE_EDIT),
                edited_message: buffa::MessageField::some(edited),
                ..wa::message::ProtocolMessage::default()
            }),
            ..wa::Message::default()
        }
    }

    fn text(message: &wa::Message) -> Option<String> {
        match read(message) {
            Some(Content::Edit(edit)) => Some(edit.text),
            _ => None,
        }
    }

    #[test]
    fn new_words_are_read_wherever_they_stand() {
        let image = |caption: Option<&str>| wa::Message {
            image_message: buffa::MessageField::some(wa::message::ImageMessage {
                caption: caption.map(str::to_owned),
                ..wa::message::ImageMessage::default()
            }),
            ..wa::Message::default()
        };
        assert_eq!(
            text(&edit_of(wa::Message::text("second"))).as_deref(),
            Some("second")
        );
        assert_eq!(text(&edit_of(image(Some("a cat")))).as_deref(), Some("a cat"));
        assert_eq!(text(&edit_of(image(None))).as_deref(), Some(""));
        assert_eq!(text(&edit_of(wa::Message::default())), None);
        // As phones wrap it.
        let wrapped = wa::Message {
            edited_message: buffa::MessageField::some(wa::message::FutureProofMessage {
                message: buffa::MessageField::some(edit_of(wa::Message::text("third"))),
            }),
            ..wa::Message::default()
        };
        assert_eq!(text(&wrapped).as_deref(), Some("third"));
    }
}
