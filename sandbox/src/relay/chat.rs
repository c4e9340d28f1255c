//! Where a message goes: what differs between a person, a group and a status.

use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;

use super::Envelope;
use crate::directory::{Account, Address, Family};
use crate::groups::Group;

/// The conversation that a message belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chat<'a> {
    /// One other person, or oneself.
    Person(&'a Account),
    Group(&'a Group),
    /// What a person shows to those they choose.
    Status,
}

impl Envelope<'_> {
    /// The attributes by which `addressee`'s copy names the conversation and its author.
    pub(super) fn address(&self, addressee: &Address) -> NodeBuilder {
        let message = NodeBuilder::new("message");
        match self.chat {
            Chat::Person(chat) => self.between_persons(message, chat, addressee),
            Chat::Group(group) => self
                .by_participant(message.attr("from", group.jid()))
                .attr("addressing_mode", group.addressing_mode()),
            Chat::Status => self.by_participant(message.attr("from", Jid::status_broadcast())),
        }
    }

    fn between_persons(&self, message: NodeBuilder, chat: &Account, addressee: &Address) -> NodeBuilder {
        let Self { sender, family, .. } = self;
        let message = message.attr("from", sender.jid(*family, self.device));
        if addressee.phone == sender.phone {
            // A copy for an own device says whom the message went to, by both names.
            let alternate = match family {
                Family::Lid => "peer_recipient_pn",
                Family::Pn => "peer_recipient_lid",
            };
            return message
                .attr("recipient", chat.jid(*family, 0))
                .attr(alternate, chat.alternate(*family, 0));
        }
        let alternate = match family {
            Family::Lid => "sender_pn",
            Family::Pn => "sender_lid",
        };
        message.attr(alternate, sender.alternate(*family, 0))
    }

    fn by_participant(&self, message: NodeBuilder) -> NodeBuilder {
        let Self { sender, family, .. } = self;
        let alternate = match family {
            Family::Lid => "participant_pn",
            Family::Pn => "participant_lid",
        };
        message
            .attr("participant", sender.jid(*family, self.device))
            .attr(alternate, sender.alternate(*family, 0))
    }
}
