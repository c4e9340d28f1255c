//! Receipts: they take a message off its queue, and tell its sender.
//!
//! A delivery or read receipt goes to every companion of the message's sender, and names the reader in the same
//! family of JIDs in which they were addressed. A retry receipt goes to the one device that can encrypt again.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};

use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::people::privacy;
use crate::phone::inbox;
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};
use crate::wire;

/// A receipt on its way from one device.
pub(crate) struct Receipt<'a> {
    pub(crate) reader: &'a Account,
    pub(crate) device: u16,
    pub(crate) family: Family,
    /// The `type`; empty means delivered.
    pub(crate) kind: &'a str,
    /// At least one.
    pub(crate) ids: &'a [String],
    /// The one device it is meant for.
    pub(crate) only: Option<u16>,
    /// What a retry carries.
    pub(crate) extra: Vec<Node>,
}

/// Queues `receipt` for the devices of `to`. A read receipt passes only between people who both send them.
pub(crate) fn fan_out(unit: &mut Unit<'_>, receipt: &Receipt<'_>, to: &Account) -> Result<()> {
    if receipt.kind == "read" && !privacy::share_read_receipts(unit, &receipt.reader.phone, &to.phone)? {
        return Ok(());
    }
    fan_out_for(unit, receipt, to, None)
}

/// The same with a `recipient`: the chat, between devices of one account.
pub(crate) fn fan_out_for(
    unit: &mut Unit<'_>,
    receipt: &Receipt<'_>,
    to: &Account,
    recipient: Option<&Jid>,
) -> Result<()> {
    let builder =
        NodeBuilder::new("receipt").attr("from", receipt.reader.jid(receipt.family, receipt.device));
    let builder = match recipient {
        Some(recipient) => builder.attr("recipient", recipient.clone()),
        None => builder,
    };
    send(unit, receipt, to, builder)
}

/// The same in a group or on a status: the receipt comes from there, and names the reader as the participant.
/// Statuses follow the rule for read receipts; in groups they always pass.
pub(crate) fn fan_out_in(unit: &mut Unit<'_>, receipt: &Receipt<'_>, to: &Account, room: &Jid) -> Result<()> {
    if room.is_status_broadcast()
        && receipt.kind == "read"
        && !privacy::share_read_receipts(unit, &receipt.reader.phone, &to.phone)?
    {
        return Ok(());
    }
    let alternate = match receipt.family {
        Family::Lid => "participant_pn",
        Family::Pn => "participant_lid",
    };
    let builder = NodeBuilder::new("receipt")
        .attr("from", room.clone())
        .attr("participant", receipt.reader.jid(receipt.family, receipt.device))
        .attr(alternate, receipt.reader.alternate(receipt.family, 0));
    send(unit, receipt, to, builder)
}

/// Tells the author of messages in `chat`, as inboxes name it, and the reader's own companions; they get a receipt
/// of the type `own`.
pub(crate) fn seen(
    unit: &mut Unit<'_>,
    receipt: Receipt<'_>,
    author: &Account,
    (chat, own): (&str, &'static str),
) -> Result<()> {
    let reader = receipt.reader;
    let room: Option<Jid> = chat
        .contains('@')
        .then(|| chat.parse())
        .transpose()
        .map_err(|error| Error::codec("the chat of an inbox entry", error))?;
    match &room {
        Some(room) => fan_out_in(unit, &receipt, author, room)?,
        None => fan_out(unit, &receipt, author)?,
    }
    let chat = author.jid(receipt.family, 0);
    let own = Receipt { kind: own, ..receipt };
    match &room {
        Some(room) => fan_out_in(unit, &own, reader, room),
        None => fan_out_for(unit, &own, reader, Some(&chat)),
    }
}

fn send(unit: &mut Unit<'_>, receipt: &Receipt<'_>, to: &Account, builder: NodeBuilder) -> Result<()> {
    if matches!(receipt.kind, "read" | "played") && receipt.reader.phone != to.phone {
        inbox::tick(unit, &to.phone, receipt.ids, &receipt.reader.phone)?;
    }
    let Some((first, rest)) = receipt.ids.split_first() else {
        return Ok(());
    };
    let mut builder = builder.attr("id", first.as_str()).attr("t", unit.now_secs());
    if !receipt.kind.is_empty() {
        builder = builder.attr("type", receipt.kind);
    }
    let mut children = receipt.extra.clone();
    if !rest.is_empty() {
        let items = rest
            .iter()
            .map(|id| NodeBuilder::new("item").attr("id", id.as_str()).build());
        children.push(NodeBuilder::new("list").children(items).build());
    }
    if !children.is_empty() {
        builder = builder.children(children);
    }
    let node = builder.build();
    let sender = Address::new(&receipt.reader.phone, receipt.device);
    let stanza = Stanza {
        kind: Kind::Receipt,
        id: first,
        subtype: receipt.kind,
        sender: &sender,
        node: &node,
    };
    let devices = match receipt.only {
        Some(device) => vec![device],
        // A phone does nothing with a tick, so it gets none.
        None => directory::devices(unit, &to.phone)?
            .into_iter()
            .filter(|device| *device != 0)
            .collect(),
    };
    for device in devices {
        let address = Address::new(&to.phone, device);
        if address != sender && directory::exists(unit, &address)? {
            queue::push(unit, &address, &stanza)?;
        }
    }
    Ok(())
}

/// Takes the `<receipt>` of a client that was sent its queue up to `sent`, and answers its `<ack>`.
pub(crate) fn receipt(unit: &mut Unit<'_>, (from, sent): (&Address, i64), node: &Node) -> Result<Node> {
    let id = wire::attr(node, "id").unwrap_or_default();
    let kind = wire::attr(node, "type").unwrap_or_default();
    let to = wire::attr_jid(node, "to");
    // In groups and on statuses the author is the participant.
    let room = to.clone().filter(|to| Family::of(to).is_none());
    let author = match room {
        Some(_) => wire::attr_jid(node, "participant"),
        None => to.clone(),
    };
    if let Some(author) = &author
        && let (Some(account), Some(family)) = (directory::resolve(unit, author)?, Family::of(author))
    {
        let ids = ids(node, &id);
        // A client that was not told from which device the message came asks the account for it.
        let device = match author.device {
            0 if kind == "retry" => queue::sender_device(unit, from, &account.phone, &id)?.unwrap_or(0),
            device => device,
        };
        queue::received(unit, (from, sent), &account.phone, &ids)?;
        let reader = directory::require(unit, &from.phone)?;
        let receipt = Receipt {
            reader: &reader,
            device: from.device,
            family,
            kind: &kind,
            ids: &ids,
            only: (kind == "retry").then_some(device),
            extra: if matches!(kind.as_ref(), "retry" | "server-error") {
                wire::children(node).to_vec()
            } else {
                Vec::new()
            },
        };
        match (kind.as_ref(), &room) {
            // Media that cannot be downloaded any more: the account's own phone may have them.
            ("server-error", None) if account.phone == from.phone => {
                let receipt = Receipt {
                    only: Some(0),
                    ..receipt
                };
                fan_out(unit, &receipt, &account)?;
            }
            // These are between an account's own devices: the server has taken the message off, and does nothing
            // more.
            ("sender" | "peer_msg" | "hist_sync" | "server-error", _) => {}
            // Own other devices learn that the chat was read here.
            ("read-self" | "played-self", Some(room)) => fan_out_in(unit, &receipt, &reader, room)?,
            ("read-self" | "played-self", None) => fan_out_for(unit, &receipt, &reader, Some(author))?,
            ("read", None) => fan_out(unit, &receipt, &account)?,
            (_, Some(room)) => fan_out_in(unit, &receipt, &account, room)?,
            // A device says that it rings: the caller learns enough by what becomes of the call.
            _ if node.get_optional_child("offer").is_some() => {}
            _ => fan_out_for(
                unit,
                &receipt,
                &account,
                wire::attr_jid(node, "recipient").as_ref(),
            )?,
        }
    }
    let mut ack = NodeBuilder::new("ack")
        .attr("class", "receipt")
        .attr("id", id.as_ref());
    if !kind.is_empty() {
        ack = ack.attr("type", kind.as_ref());
    }
    if let Some(to) = to {
        ack = ack.attr("from", to);
    }
    if room.is_some()
        && let Some(author) = author
    {
        ack = ack.attr("participant", author);
    }
    Ok(ack.build())
}

fn ids(node: &Node, first: &str) -> Vec<String> {
    let mut ids = vec![first.to_owned()];
    if let Some(list) = node.get_optional_child("list") {
        ids.extend(
            list.get_children_by_tag("item")
                .filter_map(|item| Some(wire::attr(item, "id")?.into_owned())),
        );
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companions::{self, Registration};
    use crate::phone::identity;
    use crate::store::testing::Bench;

    /// Links a device; answers where it is.
    fn link(unit: &mut Unit<'_>, phone: &str, noise: u8) -> Result<Address> {
        let address = Address::new(phone, companions::next_device(unit, phone)?);
        let keys = Registration {
            device_props: Vec::new(),
            number: 1,
            identity: [7; 32],
            signed_id: 1,
            signed_key: [8; 32],
            signature: vec![9; 64],
            platform: String::new(),
            name: String::new(),
        };
        companions::link(unit, &address, &[noise; 32], &keys, b"identity")?;
        Ok(address)
    }

    fn retry(to: Jid, recipient: Option<Jid>) -> Node {
        let mut receipt = NodeBuilder::new("receipt")
            .attr("id", "A")
            .attr("type", "retry")
            .attr("to", to);
        if let Some(recipient) = recipient {
            receipt = receipt.attr("recipient", recipient);
        }
        let retry = NodeBuilder::new("retry").attr("id", "A").attr("count", 1);
        receipt.children([retry.build()]).build()
    }

    /// The receipts that wait for `to`.
    fn waiting(unit: &Unit<'_>, to: &Address) -> Result<Vec<Node>> {
        let rows = queue::after(unit, to, 0, 100)?;
        let nodes: Vec<Node> = rows
            .iter()
            .map(|row| wire::decode(&row.payload))
            .collect::<Result<_>>()?;
        Ok(nodes.into_iter().filter(|node| node.tag == "receipt").collect())
    }

    #[test]
    fn a_retry_goes_to_the_one_device_that_can_answer_it() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let own = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            let (first, second) = (link(unit, &own.phone, 1)?, link(unit, &own.phone, 2)?);
            // Between devices of one account it says which chat is meant.
            let chat = other.jid(Family::Pn, 0);
            let node = retry(own.jid(Family::Pn, 1), Some(chat.clone()));
            receipt(unit, (&second, 0), &node)?;
            let got = waiting(unit, &first)?;
            assert_eq!(got.len(), 1);
            assert_eq!(wire::attr_jid(&got[0], "recipient"), Some(chat));
            assert!(got[0].get_optional_child("retry").is_some());
            assert!(
                waiting(unit, &second)?.is_empty()
                    && waiting(unit, &Address::primary(&own.phone))?.is_empty()
            );
            Ok(())
        });
    }

    #[test]
    fn a_retry_to_an_account_finds_the_device_that_sent() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let own = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            let reader = link(unit, &own.phone, 1)?;
            let sender = link(unit, &other.phone, 2)?;
            let node = NodeBuilder::new("message").attr("id", "A").build();
            let stanza = Stanza {
                kind: Kind::Message,
                id: "A",
                subtype: "",
                sender: &sender,
                node: &node,
            };
            queue::push(unit, &reader, &stanza)?;
            let sent = queue::backlog(unit, &reader)?.last;
            receipt(unit, (&reader, sent), &retry(other.jid(Family::Pn, 0), None))?;
            assert_eq!(waiting(unit, &sender)?.len(), 1);
            assert!(waiting(unit, &Address::primary(&other.phone))?.is_empty());
            Ok(())
        });
    }
}
