//! Receipts: what takes a message off its queue, and what its sender learns from it.
//!
//! A delivery or read receipt goes to every companion of the person who sent the message, in the family of JIDs
//! in which the reader was addressed. A retry goes to the one device that can encrypt again.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::directory::{self, Account, Address, Family};
use crate::error::Result;
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

/// Queues `receipt` for the devices of `to`.
pub(crate) fn fan_out(unit: &mut Unit<'_>, receipt: &Receipt<'_>, to: &Account) -> Result<()> {
    fan_out_for(unit, receipt, to, None)
}

/// The same with a `recipient`: the chat, between devices of one account.
pub(crate) fn fan_out_for(
    unit: &mut Unit<'_>,
    receipt: &Receipt<'_>,
    to: &Account,
    recipient: Option<&Jid>,
) -> Result<()> {
    let Some((first, rest)) = receipt.ids.split_first() else {
        return Ok(());
    };
    let mut builder = NodeBuilder::new("receipt")
        .attr("from", receipt.reader.jid(receipt.family, receipt.device))
        .attr("id", first.as_str())
        .attr("t", unit.now_secs());
    if !receipt.kind.is_empty() {
        builder = builder.attr("type", receipt.kind);
    }
    if let Some(recipient) = recipient {
        builder = builder.attr("recipient", recipient.clone());
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
    if let Some(to) = &to
        && let (Some(account), Some(family)) = (directory::resolve(unit, to)?, Family::of(to))
    {
        let ids = ids(node, &id);
        // A client that was not told from which device the message came asks the account for it.
        let device = match to.device {
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
        match kind.as_ref() {
            // Between an account's own devices; the server has taken the message off, and that is all.
            "sender" | "peer_msg" | "hist_sync" => {}
            // Media that cannot be downloaded any more: the account's own phone may have them.
            "server-error" if account.phone == from.phone => {
                let receipt = Receipt {
                    only: Some(0),
                    ..receipt
                };
                fan_out(unit, &receipt, &account)?;
            }
            "server-error" => {}
            // Own other devices learn that the chat was read here.
            "read-self" | "played-self" => fan_out_for(unit, &receipt, &reader, Some(to))?,
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
