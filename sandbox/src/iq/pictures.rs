//! `w:profile:picture`: looking at a picture, changing one's own or a group's. And `w:g2` with `<pictures>`: looking
//! at those of many groups.

use bytes::Bytes;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::directory::{self, Address};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::pictures::{self, Author, Owner, Picture};
use crate::store::Unit;
use crate::wire;

/// The most groups of one question, as clients know it.
const MAX_GROUPS: usize = 1_000;

pub(super) async fn answer(network: &Network, from: Address, node: &Node) -> Result<Node> {
    match wire::attr(node, "type").as_deref() {
        Some("get") => look(network, from, node).await,
        Some("set") => change(network, from, node).await,
        _ => Ok(super::unknown(node)),
    }
}

/// Whose picture is meant: `target` says so, older clients write to that person or group.
fn target(node: &Node) -> Option<Jid> {
    wire::attr_jid(node, "target").or_else(|| wire::attr_jid(node, "to").filter(|to| !to.user.is_empty()))
}

async fn look(network: &Network, from: Address, node: &Node) -> Result<Node> {
    let asked = node
        .get_optional_child("picture")
        .ok_or_else(|| Error::Invalid("no <picture>".into()))?;
    let target = target(node).ok_or_else(|| Error::Invalid("nobody is named".into()))?;
    let find = move |unit: &mut Unit<'_>| {
        let Some(owner) = Owner::find(unit, &target)? else {
            return Ok(None);
        };
        let seen = owner.is_seen_by(unit, &from.phone)?;
        Ok(pictures::of(unit, &owner)?.map(|picture| (seen, picture)))
    };
    let picture = match network.store.run(find).await? {
        Some((true, picture)) => picture,
        Some((false, _)) => return Ok(wire::iq_error(node, 401, "not-authorized")),
        None => return Ok(wire::iq_error(node, 404, "item-not-found")),
    };
    let builder = NodeBuilder::new("picture");
    let picture = if wire::attr(asked, "id").is_some_and(|known| known == picture.id.to_string()) {
        builder.attr("status", "304")
    } else {
        show(network, builder, asked, &picture)
    };
    Ok(wire::iq_result(node, vec![picture.build()]))
}

/// Answers `<pictures>`: one `<picture>` for each group, an empty one for a group without a picture.
pub(super) async fn look_at_groups(network: &Network, node: &Node, asked: &Node) -> Result<Node> {
    let asked: Vec<(Jid, Node)> = asked
        .get_children_by_tag("picture")
        .filter_map(|one| Some((wire::attr_jid(one, "jid")?, one.clone())))
        .collect();
    if asked.len() > MAX_GROUPS {
        return Err(Error::Invalid("too many groups in one question".into()));
    }
    let groups: Vec<Jid> = asked.iter().map(|(jid, _)| jid.clone()).collect();
    let find = move |unit: &mut Unit<'_>| {
        groups
            .iter()
            .map(|jid| find(unit, jid))
            .collect::<Result<Vec<_>>>()
    };
    let found = network.store.run(find).await?;
    let shown = asked.into_iter().zip(found).map(|((jid, one), picture)| {
        let builder = NodeBuilder::new("picture").attr("jid", jid);
        match &picture {
            Some(picture) => show(network, builder, &one, picture).build(),
            None => builder.build(),
        }
    });
    let pictures = NodeBuilder::new("pictures").children(shown).build();
    Ok(wire::iq_result(node, vec![pictures]))
}

fn find(unit: &Unit<'_>, jid: &Jid) -> Result<Option<Picture>> {
    match Owner::find(unit, jid)? {
        Some(owner) => pictures::of(unit, &owner),
        None => Ok(None),
    }
}

fn show(network: &Network, builder: NodeBuilder, asked: &Node, picture: &Picture) -> NodeBuilder {
    let (kind, path) = match wire::attr(asked, "type").as_deref() {
        Some("preview") => ("preview", &picture.preview),
        _ => ("image", &picture.image),
    };
    builder
        .attr("id", picture.id)
        .attr("type", kind)
        .attr("url", network.media.url(path))
        .attr("direct_path", path)
}

async fn change(network: &Network, from: Address, node: &Node) -> Result<Node> {
    let target = target(node);
    let allowed = move |unit: &mut Unit<'_>| {
        let account = directory::require(unit, &from.phone)?;
        let owner = match &target {
            Some(jid) => Owner::editable(unit, jid, &account)?,
            None => Owner::Person(account.clone()),
        };
        let author = Author {
            account,
            device: from.device,
        };
        Ok((owner, author))
    };
    let (owner, author) = network.store.run(allowed).await?;
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
            .run(move |unit| pictures::remove(unit, &owner, &author))
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
            pictures::set(unit, &owner, &author, kept)
        })
        .await?;
    let picture = NodeBuilder::new("picture").attr("id", id).build();
    Ok(wire::iq_result(node, vec![picture]))
}
