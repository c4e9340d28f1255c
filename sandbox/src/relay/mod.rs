//! Messages: from one device to every device that the sender encrypted for.
//!
//! The copies are in their addressees' queues before the message is acknowledged. A message that is sent again under
//! the same id is relayed and acknowledged again: recipients drop the repetition.

mod chat;
mod group;
mod person;
mod shape;
mod status;

use std::borrow::Cow;

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};

pub(crate) use chat::Chat;

use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::people::{blocks, contacts};
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};
use crate::{switches, wire};

/// Children of a client's `<message>` that its recipients do not get: the copies themselves, and what proves to the
/// server that the sender may write. All others (`<meta>`, `<biz>`, `<device-identity>`, …) go to each of them.
const FOR_THE_SERVER: &[&str] = &["participants", "enc", "tctoken", "cstoken"];

/// What all copies of a message have in common.
pub(crate) struct Envelope<'a> {
    pub(crate) sender: &'a Account,
    pub(crate) device: u16,
    pub(crate) chat: Chat<'a>,
    /// The family of the JIDs that the sender used, and its addressees get to see.
    pub(crate) family: Family,
    pub(crate) id: &'a str,
    pub(crate) stanza_type: &'a str,
    pub(crate) edit: Option<&'a str>,
}

/// Queues one device's copy.
pub(crate) fn queue_for(
    unit: &mut Unit<'_>,
    envelope: &Envelope<'_>,
    addressee: &Address,
    children: Vec<Node>,
) -> Result<()> {
    let mut builder = envelope
        .address(addressee)
        .attr("id", envelope.id)
        .attr("type", envelope.stanza_type)
        .attr("t", unit.now_secs())
        .attr("notify", envelope.sender.name.as_str());
    if let Some(edit) = envelope.edit {
        builder = builder.attr("edit", edit);
    }
    let (from, to) = (&envelope.sender.phone, &addressee.phone);
    // In a group blocks do not count. Elsewhere the sender does not learn of one: the ack is the same, and no receipt
    // comes.
    if !matches!(envelope.chat, Chat::Group(_)) && blocks::blocks(unit, to, from)? {
        return Ok(());
    }
    if matches!(envelope.chat, Chat::Person(_)) && from != to {
        contacts::add(unit, from, to)?;
        switches::wrote(unit, to, from)?;
    }
    let node = builder.children(children).build();
    let from = Address::new(from, envelope.device);
    queue::push(
        unit,
        addressee,
        &Stanza {
            kind: Kind::Message,
            id: envelope.id,
            subtype: "",
            sender: &from,
            node: &node,
        },
    )
}

/// Relays a client's `<message>` and answers its `<ack>`. An `error` in it means that nothing was relayed.
pub(crate) fn message(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    if !shape::fits(node) {
        return Ok(refusal(unit, node, shape::MALFORMED));
    }
    let sent = Sent::read(unit, from, node)?;
    let outcome = match Family::of(&sent.to) {
        Some(family) => person::relay(unit, &sent, family)?,
        None if sent.to.is_group() => group::relay(unit, &sent)?,
        None if sent.to.is_status_broadcast() => status::relay(unit, &sent)?,
        // Lists and channels are no part of this network.
        None => Outcome::Refused(400),
    };
    let ack = NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", sent.id.as_ref())
        .attr("from", sent.to.clone())
        .attr("t", unit.now_secs());
    let ack = match outcome {
        Outcome::Relayed { phash: Some(phash) } => ack.attr("phash", phash),
        Outcome::Relayed { phash: None } => ack,
        Outcome::Refused(code) => ack.attr("error", code),
    };
    Ok(ack.build())
}

/// The `<ack>` of a stanza that does not fit. It repeats the attributes that are there.
fn refusal(unit: &Unit<'_>, node: &Node, code: u16) -> Node {
    let mut ack = NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("t", unit.now_secs())
        .attr("error", code);
    if let Some(id) = wire::attr(node, "id") {
        ack = ack.attr("id", id.as_ref());
    }
    if let Some(to) = wire::attr_jid(node, "to") {
        ack = ack.attr("from", to);
    }
    ack.build()
}

/// What the sender is told of its message.
enum Outcome {
    Relayed {
        /// The hash over those who should have been reached, if the sender missed somebody.
        phash: Option<String>,
    },
    /// Nothing was relayed; the code says why.
    Refused(u16),
}

/// A client's `<message>`.
struct Sent<'a> {
    node: &'a Node,
    to: Jid,
    id: Cow<'a, str>,
    sender: Account,
    device: u16,
    stanza_type: Cow<'a, str>,
    edit: Option<Cow<'a, str>>,
}

impl<'a> Sent<'a> {
    fn read(unit: &Unit<'_>, from: &Address, node: &'a Node) -> Result<Self> {
        let id = wire::attr(node, "id").ok_or_else(|| Error::Invalid("a message without an id".into()))?;
        let to = wire::attr_jid(node, "to")
            .ok_or_else(|| Error::Invalid("a message without an addressee".into()))?;
        Ok(Self {
            node,
            to,
            id,
            sender: directory::require(unit, &from.phone)?,
            device: from.device,
            stanza_type: wire::attr(node, "type").unwrap_or("text".into()),
            edit: wire::attr(node, "edit"),
        })
    }

    fn envelope<'e>(&'e self, chat: Chat<'e>, family: Family) -> Envelope<'e> {
        Envelope {
            sender: &self.sender,
            device: self.device,
            chat,
            family,
            id: &self.id,
            stanza_type: &self.stanza_type,
            edit: self.edit.as_deref(),
        }
    }

    /// What every copy carries besides its ciphertexts.
    fn shared(&self) -> Vec<Node> {
        wire::children(self.node)
            .iter()
            .filter(|child| !FOR_THE_SERVER.contains(&child.tag.as_ref()))
            .cloned()
            .collect()
    }

    /// The ciphertexts in the message itself, and the nodes that every copy carries.
    fn ciphertexts_and_shared(&self) -> Vec<Node> {
        let mut children: Vec<Node> = self.node.get_children_by_tag("enc").cloned().collect();
        children.extend(self.shared());
        children
    }
}

/// The hash by which clients compare lists of devices.
fn participant_hash(jids: &[Jid]) -> Result<String> {
    MessageUtils::participant_list_hash(jids).map_err(|error| Error::codec("a participant hash", error))
}
