//! `w:profile:picture`: looking at a picture, changing one's own.

use bytes::Bytes;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::directory::{self, Account, Address};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::pictures::{self, Picture};
use crate::store::Unit;
use crate::wire;

pub(super) async fn answer(network: &Network, from: Address, node: &Node) -> Result<Node> {
    match wire::attr(node, "type").as_deref() {
        Some("get") => look(network, node).await,
        Some("set") => change(network, from, node).await,
        _ => Ok(super::unknown(node)),
    }
}

/// Whose picture is meant: `target` says so, older clients write to that person.
fn target(node: &Node) -> Option<Jid> {
    wire::attr_jid(node, "target").or_else(|| wire::attr_jid(node, "to").filter(|to| !to.user.is_empty()))
}

async fn look(network: &Network, node: &Node) -> Result<Node> {
    let asked = node
        .get_optional_child("picture")
        .ok_or_else(|| Error::Invalid("no <picture>".into()))?;
    let target = target(node).ok_or_else(|| Error::Invalid("nobody is named".into()))?;
    let find = move |unit: &mut Unit<'_>| match directory::resolve(unit, &target)? {
        Some(account) => pictures::of(unit, &account.phone),
        None => Ok(None),
    };
    let Some(Picture { id, image, preview }) = network.store.run(find).await? else {
        return Ok(wire::iq_error(node, 404, "item-not-found"));
    };
    let builder = NodeBuilder::new("picture");
    let picture = if wire::attr(asked, "id").is_some_and(|known| known == id.to_string()) {
        builder.attr("status", "304")
    } else {
        let (kind, path) = match wire::attr(asked, "type").as_deref() {
            Some("preview") => ("preview", preview),
            _ => ("image", image),
        };
        builder
            .attr("id", id)
            .attr("type", kind)
            .attr("url", network.media.url(&path))
            .attr("direct_path", path)
    };
    Ok(wire::iq_result(node, vec![picture.build()]))
}

async fn change(network: &Network, from: Address, node: &Node) -> Result<Node> {
    let target = target(node);
    let own = from.phone.clone();
    let allowed = move |unit: &mut Unit<'_>| {
        let account: Account = directory::require(unit, &own)?;
        let named = match &target {
            Some(jid) => directory::resolve(unit, jid)?,
            None => Some(account.clone()),
        };
        Ok(named.filter(|named| *named == account))
    };
    let Some(account) = network.store.run(allowed).await? else {
        return Ok(wire::iq_error(node, 403, "forbidden"));
    };
    let given = |kind: &str| {
        node.get_children_by_tag("picture")
            .find(|picture| wire::attr(picture, "type").as_deref().unwrap_or("image") == kind)
            .and_then(wire::bytes)
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| Bytes::from(bytes.into_owned()))
    };
    let Some(image) = given("image") else {
        network
            .store
            .run(move |unit| pictures::remove(unit, &account, &from))
            .await?;
        return Ok(wire::iq_result(node, Vec::new()));
    };
    let preview = given("preview").unwrap_or_else(|| image.clone());
    if !pictures::is_picture(&image) || !pictures::is_picture(&preview) {
        return Ok(wire::iq_error(node, 406, "not-acceptable"));
    }
    let id = network
        .media
        .keep(&network.store, [image, preview], move |unit, kept| {
            pictures::set(unit, &account, &from, kept)
        })
        .await?;
    let picture = NodeBuilder::new("picture").attr("id", id).build();
    Ok(wire::iq_result(node, vec![picture]))
}
