//! Reactions.

use shared::domain::content::{Content, Reaction};
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;

use super::target;

pub fn write(reaction: &Reaction) -> wa::Message {
    wa::Message {
        reaction_message: buffa::MessageField::some(wa::message::ReactionMessage {
            key: buffa::MessageField::some(target::write(&reaction.target)),
            text: Some(reaction.emoji.clone()),
            ..wa::message::ReactionMessage::default()
        }),
        ..wa::Message::default()
    }
}

pub fn read(message: &wa::Message) -> Option<Content> {
    let reaction = message.get_base_message().reaction_message.as_option()?;
    Some(Content::Reaction(Reaction {
        target: target::read(reaction.key.as_option())?,
        emoji: reaction.text.clone().unwrap_or_default(),
    }))
}
