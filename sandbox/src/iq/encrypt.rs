//! `encrypt`: prekeys up, bundles down.

use wacore::prekeys::compute_key_bundle_digest;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::unknown;
use crate::directory::{self, Address};
use crate::error::{Error, Result};
use crate::faults::{Faults, Keys};
use crate::phone::key_share;
use crate::prekeys::{self, Bundle};
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};
use crate::wire;

/// The `type` of all keys: Curve25519.
const DJB: [u8; 1] = [5];

/// With fewer prekeys left than this a companion is asked for more.
const LOW_WATER: u32 = 5;

pub(super) fn answer(unit: &mut Unit<'_>, faults: &Faults, from: &Address, node: &Node) -> Result<Node> {
    let first = wire::children(node).first().map(|child| child.tag.as_ref());
    match (wire::attr(node, "type").as_deref(), first) {
        (Some("get"), Some("count")) => {
            let count = NodeBuilder::new("count")
                .attr("value", prekeys::count(unit, from)?)
                .build();
            Ok(wire::iq_result(node, vec![count]))
        }
        (Some("get"), Some("digest")) => digest(unit, from, node),
        (Some("get"), Some("key")) => bundles(unit, faults, node),
        (Some("get"), Some("identity")) => identities(unit, node),
        (Some("set"), Some("rotate")) => rotate(unit, from, node),
        (Some("set"), Some("registration" | "type" | "identity" | "list" | "skey")) => {
            upload(unit, from, node)
        }
        _ => Ok(unknown(node)),
    }
}

/// Takes one-time prekeys, and the long-lived keys with them. The phone waits for the first upload before it shares
/// the app-state key.
fn upload(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let invalid = |what: &str| Error::Invalid(format!("a prekey upload without a usable {what}"));
    let mut keys = Vec::new();
    for key in node
        .get_optional_child("list")
        .map(wire::children)
        .unwrap_or_default()
    {
        let id = wire::child_uint(key, "id").ok_or_else(|| invalid("key id"))?;
        keys.push((id, wire::child_key(key, "value").ok_or_else(|| invalid("key"))?));
    }
    prekeys::add(unit, from, &keys)?;
    if let (Some(registration), Some(identity)) = (
        wire::child_uint(node, "registration"),
        wire::child_key(node, "identity"),
    ) {
        unit.execute(
            "UPDATE companions SET registration_id = ?3, identity = ?4 WHERE phone = ?1 AND device = ?2",
            (&from.phone, from.device, registration, identity),
        )?;
    }
    if let Some(skey) = node.get_optional_child("skey") {
        set_signed(unit, from, skey)?;
    }
    let account = directory::require(unit, &from.phone)?;
    key_share::share_due(unit, &account)?;
    Ok(wire::iq_result(node, Vec::new()))
}

fn rotate(unit: &Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let skey = node
        .get_optional_child("rotate")
        .and_then(|rotate| rotate.get_optional_child("skey"));
    set_signed(
        unit,
        from,
        skey.ok_or_else(|| Error::Invalid("a rotation without a key".into()))?,
    )?;
    Ok(wire::iq_result(node, Vec::new()))
}

fn set_signed(unit: &Unit<'_>, from: &Address, skey: &Node) -> Result<()> {
    let (Some(id), Some(key), Some(signature)) = (
        wire::child_uint(skey, "id"),
        wire::child_key(skey, "value"),
        wire::child_bytes(skey, "signature").filter(|signature| signature.len() == 64),
    ) else {
        return Err(Error::Invalid("a signed prekey that is none".into()));
    };
    unit.execute(
        "UPDATE companions SET signed_pre_key_id = ?3, signed_pre_key = ?4, signed_pre_key_signature = ?5
         WHERE phone = ?1 AND device = ?2",
        (&from.phone, from.device, id, key, signature.as_ref()),
    )?;
    Ok(())
}

/// What the server has of a device, for the device to compare with what it has itself.
fn digest(unit: &Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let bundle = prekeys::public(unit, from)?.ok_or_else(|| Error::NotFound("no keys".into()))?;
    let keys = prekeys::all(unit, from)?;
    let publics: Vec<&[u8]> = keys.iter().map(|(_, public)| public.as_slice()).collect();
    let hash = compute_key_bundle_digest(&bundle.identity, &bundle.signed_key, &bundle.signature, &publics);
    let ids = keys
        .iter()
        .map(|(id, _)| wire::bytes_node("id", wire::key_id(*id)));
    let digest = NodeBuilder::new("digest")
        .children([
            wire::bytes_node("registration", bundle.registration_id.to_be_bytes()),
            wire::bytes_node("type", DJB),
            wire::bytes_node("identity", bundle.identity.clone()),
            signed(&bundle),
            NodeBuilder::new("list").children(ids).build(),
            wire::bytes_node("hash", hash),
        ])
        .build();
    Ok(wire::iq_result(node, vec![digest]))
}

/// A bundle for each device asked for. One that does not exist is refused alone, inside its `<user>`.
fn bundles(unit: &mut Unit<'_>, faults: &Faults, node: &Node) -> Result<Node> {
    let mut users = Vec::new();
    for user in asked(node, "key") {
        let Some(jid) = wire::attr_jid(user, "jid") else {
            continue;
        };
        let address = directory::resolve(unit, &jid)?.map(|account| Address::new(account.phone, jid.device));
        let answer = NodeBuilder::new("user").attr("jid", jid);
        match address
            .as_ref()
            .map_or(Keys::Given, |address| faults.keys(address))
        {
            Keys::Given => {}
            Keys::LeftOut => continue,
            Keys::Refused(code) => {
                users.push(answer.children([refusal(code)]).build());
                continue;
            }
        }
        let bundle = match &address {
            Some(address) => prekeys::take(unit, address)?,
            None => None,
        };
        users.push(match bundle {
            None => answer.children([refusal(406)]).build(),
            Some(bundle) => {
                let mut children = vec![
                    wire::bytes_node("registration", bundle.registration_id.to_be_bytes()),
                    wire::bytes_node("type", DJB),
                    wire::bytes_node("identity", bundle.identity.clone()),
                    signed(&bundle),
                ];
                if let Some((id, public)) = &bundle.one_time {
                    let key = [
                        wire::bytes_node("id", wire::key_id(*id)),
                        wire::bytes_node("value", public.clone()),
                    ];
                    children.push(NodeBuilder::new("key").children(key).build());
                }
                if let Some(identity) = bundle.device_identity {
                    children.push(wire::bytes_node("device-identity", identity));
                }
                answer.attr("t", unit.now_secs()).children(children).build()
            }
        });
        if let Some(address) = address {
            ask_for_more(unit, &address)?;
        }
    }
    Ok(wire::iq_result(
        node,
        vec![NodeBuilder::new("list").children(users).build()],
    ))
}

/// Why a device has no bundle.
fn refusal(code: u16) -> Node {
    let text = if code == 406 {
        "not-acceptable"
    } else {
        "unavailable"
    };
    NodeBuilder::new("error")
        .attr("code", code)
        .attr("text", text)
        .build()
}

fn identities(unit: &Unit<'_>, node: &Node) -> Result<Node> {
    let mut users = Vec::new();
    for user in asked(node, "identity") {
        let Some(jid) = wire::attr_jid(user, "jid") else {
            continue;
        };
        let bundle = match directory::resolve(unit, &jid)? {
            Some(account) => prekeys::public(unit, &Address::new(account.phone, jid.device))?,
            None => None,
        };
        let child = match bundle {
            Some(bundle) => wire::bytes_node("identity", bundle.identity),
            None => NodeBuilder::new("error")
                .attr("code", 404)
                .attr("text", "item-not-found")
                .build(),
        };
        users.push(
            NodeBuilder::new("user")
                .attr("jid", jid)
                .children([child])
                .build(),
        );
    }
    Ok(wire::iq_result(
        node,
        vec![NodeBuilder::new("list").children(users).build()],
    ))
}

fn asked<'a>(node: &'a Node, tag: &str) -> &'a [Node] {
    node.get_optional_child(tag)
        .map(wire::children)
        .unwrap_or_default()
}

fn signed(bundle: &Bundle) -> Node {
    NodeBuilder::new("skey")
        .children([
            wire::bytes_node("id", wire::key_id(bundle.signed_id)),
            wire::bytes_node("value", bundle.signed_key.clone()),
            wire::bytes_node("signature", bundle.signature.clone()),
        ])
        .build()
}

/// Tells a companion once that its prekeys run out.
fn ask_for_more(unit: &mut Unit<'_>, address: &Address) -> Result<()> {
    if address.device == 0 || prekeys::count(unit, address)? != LOW_WATER {
        return Ok(());
    }
    let id = format!("prekeys-{}", unit.now_ms());
    let count = NodeBuilder::new("count").attr("value", LOW_WATER).build();
    let node = NodeBuilder::new("notification")
        .attr("from", wire::SERVER)
        .attr("id", id.as_str())
        .attr("type", "encrypt")
        .attr("t", unit.now_secs())
        .children([count])
        .build();
    let stanza = Stanza {
        kind: Kind::Notification,
        id: &id,
        subtype: "encrypt",
        sender: address,
        node: &node,
    };
    queue::push(unit, address, &stanza)
}
