//! Messages to a person: a copy for each of their devices and for the sender's own others.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::{Chat, Envelope, Outcome, Sent, participant_hash, queue_for, shape};
use crate::directory::{self, Account, Address, Family};
use crate::error::Result;
use crate::people::reachout;
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};
use crate::{switches, wire};

/// Relays a message whose addressee is a person.
pub(super) fn relay(unit: &mut Unit<'_>, sent: &Sent<'_>, family: Family) -> Result<Outcome> {
    if !shape::has_ciphertext(sent.node) {
        return Ok(Outcome::Refused(shape::MALFORMED));
    }
    let Some(other) = directory::resolve(unit, &sent.to)? else {
        return Ok(Outcome::Refused(404));
    };
    let (from, to) = (&sent.sender.phone, &other.phone);
    if switches::holds_back(unit, from, to, sent.node)? || reachout::holds_back(unit, from, to)? {
        return Ok(Outcome::Refused(463));
    }
    let conversation = Conversation {
        other: &other,
        envelope: sent.envelope(Chat::Person(&other), family),
    };
    let Some(participants) = sent.node.get_optional_child("participants") else {
        conversation.direct(unit, sent)?;
        return Ok(Outcome::Relayed { phash: None });
    };
    if conversation.includes_a_stranger(unit, participants)? {
        return Ok(Outcome::Refused(400));
    }
    let reached = conversation.fan_out(unit, participants, &sent.shared())?;
    let phash = conversation.expected_phash(unit, &reached)?;
    Ok(Outcome::Relayed { phash })
}

struct Conversation<'a> {
    other: &'a Account,
    envelope: Envelope<'a>,
}

impl Conversation<'_> {
    /// Whether a copy is for somebody who has no part in the conversation. Devices that are gone do not count: the
    /// sender learns of them by the participant hash.
    fn includes_a_stranger(&self, unit: &Unit<'_>, participants: &Node) -> Result<bool> {
        for to in participants.get_children_by_tag("to") {
            let Some(jid) = wire::attr_jid(to, "jid") else {
                continue;
            };
            let account = directory::resolve(unit, &jid)?;
            let belongs = |account: Account| {
                account.phone == self.other.phone || account.phone == self.envelope.sender.phone
            };
            if !account.is_some_and(belongs) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One copy for each `<to jid>`; answers the devices reached.
    fn fan_out(&self, unit: &mut Unit<'_>, participants: &Node, shared: &[Node]) -> Result<Vec<Address>> {
        let mut reached = Vec::new();
        for to in participants.get_children_by_tag("to") {
            let Some(jid) = wire::attr_jid(to, "jid") else {
                continue;
            };
            let Some(address) = self.device(unit, &jid)? else {
                continue;
            };
            let mut children: Vec<Node> = to.get_children_by_tag("enc").cloned().collect();
            children.extend(shared.iter().cloned());
            queue_for(unit, &self.envelope, &address, children)?;
            reached.push(address);
        }
        Ok(reached)
    }

    /// A message for one device: a repetition it asked for, or a word between devices of one account.
    fn direct(&self, unit: &mut Unit<'_>, sent: &Sent<'_>) -> Result<()> {
        let Some(address) = self.device(unit, &sent.to)? else {
            return Ok(());
        };
        let envelope = &self.envelope;
        let children = sent.ciphertexts_and_shared();
        if wire::attr(sent.node, "category").as_deref() == Some("peer") {
            let from = Address::new(&envelope.sender.phone, envelope.device);
            let node = NodeBuilder::new("message")
                .attr("from", envelope.sender.jid(envelope.family, envelope.device))
                .attr("id", envelope.id)
                .attr("type", envelope.stanza_type)
                .attr("category", "peer")
                .attr("t", unit.now_secs())
                .children(children)
                .build();
            let stanza = Stanza {
                kind: Kind::Message,
                id: envelope.id,
                subtype: "",
                sender: &from,
                node: &node,
            };
            return queue::push(unit, &address, &stanza);
        }
        // A repetition for an own device names the chat itself.
        let chat = match wire::attr_jid(sent.node, "recipient") {
            Some(recipient) => directory::resolve(unit, &recipient)?,
            None => None,
        };
        let envelope = Envelope {
            chat: Chat::Person(chat.as_ref().unwrap_or(self.other)),
            ..*envelope
        };
        queue_for(unit, &envelope, &address, children)
    }

    /// The device that `jid` names, if it exists and has a part in the conversation.
    fn device(&self, unit: &Unit<'_>, jid: &Jid) -> Result<Option<Address>> {
        let Some(account) = directory::resolve(unit, jid)? else {
            return Ok(None);
        };
        if account.phone != self.other.phone && account.phone != self.envelope.sender.phone {
            return Ok(None);
        }
        let address = Address::new(account.phone, jid.device);
        Ok(directory::exists(unit, &address)?.then_some(address))
    }

    /// The participant hash for the ack, if the sender missed a device: another value than its own makes it fetch the
    /// device lists again.
    fn expected_phash(&self, unit: &Unit<'_>, reached: &[Address]) -> Result<Option<String>> {
        let Envelope {
            sender,
            device: sending,
            family,
            ..
        } = self.envelope;
        let mut missed = false;
        let mut jids = Vec::new();
        for account in [self.other, sender] {
            for device in directory::devices(unit, &account.phone)? {
                let address = Address::new(&account.phone, device);
                let own = address.phone == sender.phone && device == sending;
                missed |= !own && !reached.contains(&address);
                jids.push(account.jid(family, device));
            }
        }
        missed.then(|| participant_hash(&jids)).transpose()
    }
}
