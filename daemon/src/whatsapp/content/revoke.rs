//! Messages that take others back.

use shared::domain::content::{Content, Revoke};
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type;

use super::target;

pub fn write(revoke: &Revoke) -> wa::Message {
    wa::Message {
        protocol_message: buffa::MessageField::some(wa::message::ProtocolMessage {
            key: buffa::MessageField::some(target::write(&revoke.target)),
            r#type: Some(Type::REVOKE),
            ..wa::message::ProtocolMessage::default()
        }),
        ..wa::Message::default()
    }
}

pub fn read(message: &wa::Message) -> Option<Content> {
    let protocol = message.get_base_message().protocol_message.as_option()?;
    if protocol.r#type != Some(Type::REVOKE) {
        return None;
    }
    Some(Content::Revoke(Revoke {
        target: target::read(protocol.key.as_option())?,
    }))
}
