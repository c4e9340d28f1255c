//! `usync`: who exists, by which names, with which devices.

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::companions;
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::wire;

/// The most users of one question.
const MAX_USERS: usize = 1_000;

pub(super) fn answer(unit: &Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let usync = node
        .get_optional_child("usync")
        .ok_or_else(|| Error::Invalid("no <usync>".into()))?;
    let protocols = usync
        .get_optional_child("query")
        .map(wire::children)
        .unwrap_or_default();
    let asked = usync
        .get_optional_child("list")
        .map(wire::children)
        .unwrap_or_default();
    if asked.len() > MAX_USERS {
        return Err(Error::Invalid("too many users in one question".into()));
    }
    let mut users = Vec::new();
    for user in asked {
        users.extend(self::user(unit, from, protocols, user)?);
    }
    let states = protocols
        .iter()
        .map(|protocol| NodeBuilder::new_dynamic(protocol.tag.to_string()).build());
    let mut builder = NodeBuilder::new("usync");
    for key in ["sid", "mode", "context", "index", "last"] {
        if let Some(value) = wire::attr(usync, key) {
            builder = builder.attr(key, value.as_ref());
        }
    }
    let usync = builder
        .children([
            NodeBuilder::new("result").children(states).build(),
            NodeBuilder::new("list").children(users).build(),
        ])
        .build();
    Ok(wire::iq_result(node, vec![usync]))
}

fn user(unit: &Unit<'_>, from: &Address, protocols: &[Node], user: &Node) -> Result<Option<Node>> {
    let phone = user.get_optional_child("contact").and_then(wire::bytes);
    let phone = phone.map(|phone| String::from_utf8_lossy(&phone).trim_start_matches('+').to_owned());
    let jid = match (wire::attr_jid(user, "jid"), &phone) {
        (Some(jid), _) => jid,
        (None, Some(phone)) => Jid::pn(phone.as_str()),
        (None, None) => return Ok(None),
    };
    let Some(family) = Family::of(&jid) else {
        return Ok(None);
    };
    let account = directory::resolve(unit, &jid)?;
    let mut children = Vec::new();
    for protocol in protocols {
        children.extend(match &account {
            Some(account) => known(unit, from, account, family, protocol.tag.as_ref())?,
            None => stranger(protocol.tag.as_ref()),
        });
    }
    let mut builder = NodeBuilder::new("user").attr("jid", jid);
    if let (Some(account), Family::Lid) = (&account, family) {
        builder = builder.attr("pn_jid", account.jid(Family::Pn, 0));
    }
    Ok(Some(builder.children(children).build()))
}

fn known(
    unit: &Unit<'_>,
    from: &Address,
    account: &Account,
    family: Family,
    protocol: &str,
) -> Result<Option<Node>> {
    Ok(Some(match protocol {
        "contact" => NodeBuilder::new("contact").attr("type", "in").build(),
        "lid" => NodeBuilder::new("lid")
            .attr("val", account.jid(Family::Lid, 0))
            .build(),
        "devices" => {
            companions::watch(unit, &account.phone, &from.phone)?;
            devices(unit, account, family)?
        }
        "status" => NodeBuilder::new("status")
            .string_content("Hey there! I am in the sandbox.")
            .build(),
        "picture" => error("picture", 404),
        "disappearing_mode" => NodeBuilder::new("disappearing_mode")
            .attr("duration", 0)
            .attr("t", 0)
            .build(),
        _ => return Ok(None),
    }))
}

/// What is said of somebody who is not on the network.
fn stranger(protocol: &str) -> Option<Node> {
    match protocol {
        "contact" => Some(NodeBuilder::new("contact").attr("type", "out").build()),
        "devices" => Some(error("devices", 404)),
        _ => None,
    }
}

/// The devices with the phone's signed list of key indexes, without which clients skip the companions.
fn devices(unit: &Unit<'_>, account: &Account, family: Family) -> Result<Node> {
    let numbers = directory::devices(unit, &account.phone)?;
    let jids: Vec<Jid> = numbers
        .iter()
        .map(|device| account.jid(family, *device))
        .collect();
    let hash =
        MessageUtils::participant_list_hash(&jids).map_err(|error| Error::codec("a device hash", error))?;
    let entries = numbers.iter().map(|device| {
        let entry = NodeBuilder::new("device").attr("id", *device);
        if *device == 0 {
            entry.build()
        } else {
            entry.attr("key-index", *device).build()
        }
    });
    let list = NodeBuilder::new("device-list")
        .attr("hash", hash)
        .children(entries)
        .build();
    let index = companions::key_index_node(unit, &account.phone)?;
    Ok(NodeBuilder::new("devices").children([list, index]).build())
}

fn error(protocol: &'static str, code: u16) -> Node {
    let error = NodeBuilder::new("error")
        .attr("code", code)
        .attr("text", "item-not-found")
        .build();
    NodeBuilder::new(protocol).children([error]).build()
}
