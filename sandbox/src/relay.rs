//! Messages between people: from one device to every device that the sender encrypted for.
//!
//! The copies are in their addressees' queues before the sender is acknowledged. A message that is sent again
//! under the same id is relayed and acknowledged again: dropping the repetition is the recipient's part.

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};
use crate::wire;

/// Children of a client's `<message>` that its recipients do not get: the copies themselves, and what proves to the
/// server that the sender may write. All others (`<meta>`, `<biz>`, `<device-identity>`, …) go to each of them.
const FOR_THE_SERVER: &[&str] = &["participants", "enc", "tctoken", "cstoken"];

/// What all copies of a message have in common.
pub(crate) struct Envelope<'a> {
    pub(crate) sender: &'a Account,
    pub(crate) device: u16,
    /// The person written to.
    pub(crate) chat: &'a Account,
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
    let Envelope {
        sender,
        device,
        chat,
        family,
        id,
        stanza_type,
        edit,
    } = envelope;
    let mut builder = NodeBuilder::new("message")
        .attr("from", sender.jid(*family, *device))
        .attr("id", *id)
        .attr("type", *stanza_type)
        .attr("t", unit.now_secs())
        .attr("notify", sender.name.as_str());
    if let Some(edit) = edit {
        builder = builder.attr("edit", *edit);
    }
    if addressee.phone == sender.phone {
        // A copy for an own device says whom the message went to.
        builder = builder.attr("recipient", chat.jid(*family, 0));
        if *family == Family::Lid {
            builder = builder.attr("peer_recipient_pn", chat.jid(Family::Pn, 0));
        }
    } else {
        let key = if *family == Family::Lid {
            "sender_pn"
        } else {
            "sender_lid"
        };
        builder = builder.attr(key, sender.alternate(*family, 0));
    }
    let node = builder.children(children).build();
    let from = Address::new(&sender.phone, *device);
    queue::push(
        unit,
        addressee,
        &Stanza {
            kind: Kind::Message,
            id,
            subtype: "",
            sender: &from,
            node: &node,
        },
    )
}

/// Relays a client's `<message>` and answers its `<ack>`. An `error` in it means that nothing was relayed.
pub(crate) fn message(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let id = wire::attr(node, "id").ok_or_else(|| Error::Invalid("a message without an id".into()))?;
    let to =
        wire::attr_jid(node, "to").ok_or_else(|| Error::Invalid("a message without an addressee".into()))?;
    let ack = |unit: &Unit<'_>| {
        NodeBuilder::new("ack")
            .attr("class", "message")
            .attr("id", id.as_ref())
            .attr("from", to.clone())
            .attr("t", unit.now_secs())
    };
    let Some(family) = Family::of(&to) else {
        // Groups, lists and channels are no part of this network yet.
        return Ok(ack(unit).attr("error", 400).build());
    };
    let Some(chat) = directory::resolve(unit, &to)? else {
        return Ok(ack(unit).attr("error", 404).build());
    };
    let sender = directory::require(unit, &from.phone)?;
    let stanza_type = wire::attr(node, "type").unwrap_or("text".into());
    let edit = wire::attr(node, "edit");
    let envelope = Envelope {
        sender: &sender,
        device: from.device,
        chat: &chat,
        family,
        id: &id,
        stanza_type: &stanza_type,
        edit: edit.as_deref(),
    };
    let shared: Vec<Node> = wire::children(node)
        .iter()
        .filter(|child| !FOR_THE_SERVER.contains(&child.tag.as_ref()))
        .cloned()
        .collect();
    let Some(participants) = node.get_optional_child("participants") else {
        direct(unit, &envelope, node, (&to, shared))?;
        return Ok(ack(unit).build());
    };
    let reached = fan_out(unit, &envelope, participants, &shared)?;
    let phash = expected_phash(unit, &envelope, &reached)?;
    let builder = ack(unit);
    Ok(match phash {
        Some(phash) => builder.attr("phash", phash).build(),
        None => builder.build(),
    })
}

/// One copy for each `<to jid>`; answers the devices reached.
fn fan_out(
    unit: &mut Unit<'_>,
    envelope: &Envelope<'_>,
    participants: &Node,
    shared: &[Node],
) -> Result<Vec<Address>> {
    let mut reached = Vec::new();
    for to in participants.get_children_by_tag("to") {
        let Some(jid) = wire::attr_jid(to, "jid") else {
            continue;
        };
        let Some(address) = device(unit, envelope, &jid)? else {
            continue;
        };
        let mut children: Vec<Node> = to.get_children_by_tag("enc").cloned().collect();
        children.extend(shared.iter().cloned());
        queue_for(unit, envelope, &address, children)?;
        reached.push(address);
    }
    Ok(reached)
}

/// A message for one device: a repetition it asked for, or a word between devices of one account.
fn direct(
    unit: &mut Unit<'_>,
    envelope: &Envelope<'_>,
    node: &Node,
    (to, shared): (&Jid, Vec<Node>),
) -> Result<()> {
    let Some(address) = device(unit, envelope, to)? else {
        return Ok(());
    };
    let mut children: Vec<Node> = node.get_children_by_tag("enc").cloned().collect();
    children.extend(shared);
    if wire::attr(node, "category").as_deref() == Some("peer") {
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
    let chat = match wire::attr_jid(node, "recipient") {
        Some(recipient) => directory::resolve(unit, &recipient)?,
        None => None,
    };
    let envelope = Envelope {
        chat: chat.as_ref().unwrap_or(envelope.chat),
        ..*envelope
    };
    queue_for(unit, &envelope, &address, children)
}

/// The device that `jid` names, if it exists and has a part in the conversation.
fn device(unit: &Unit<'_>, envelope: &Envelope<'_>, jid: &Jid) -> Result<Option<Address>> {
    let Some(account) = directory::resolve(unit, jid)? else {
        return Ok(None);
    };
    if account.phone != envelope.chat.phone && account.phone != envelope.sender.phone {
        return Ok(None);
    }
    let address = Address::new(account.phone, jid.device);
    Ok(directory::exists(unit, &address)?.then_some(address))
}

/// The participant hash for the ack, where the sender missed a device: another value than its own makes it fetch
/// the device lists again. A sender that reached everyone needs none.
fn expected_phash(unit: &Unit<'_>, envelope: &Envelope<'_>, reached: &[Address]) -> Result<Option<String>> {
    let mut missed = false;
    let mut jids = Vec::new();
    for account in [envelope.chat, envelope.sender] {
        for device in directory::devices(unit, &account.phone)? {
            let address = Address::new(&account.phone, device);
            let own = address.phone == envelope.sender.phone && device == envelope.device;
            missed |= !own && !reached.contains(&address);
            jids.push(account.jid(envelope.family, device));
        }
    }
    if !missed {
        return Ok(None);
    }
    let hash = MessageUtils::participant_list_hash(&jids)
        .map_err(|error| Error::codec("a participant hash", error))?;
    Ok(Some(hash))
}
