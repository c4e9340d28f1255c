//! `w:sync:app:state`: devices bring patches of the account's collections, and ask for those they lack.
//!
//! One question names several collections, and each gets its own answer: an error in one of them says nothing about
//! the others. A device that knows nothing of a long collection, or is far behind, gets a snapshot: a file on the
//! media host, then the patches that came after it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use buffa::Message as _;
use wacore::download::MediaType;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use crate::app_state::{self, Uploaded};
use crate::directory::Address;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::phone::media;
use crate::store::Unit;
use crate::wire;

/// A snapshot on the media host.
struct Snapshot {
    version: u64,
    /// `ExternalBlobReference`, encoded.
    reference: Vec<u8>,
}

/// By collection.
type Snapshots = HashMap<&'static str, Snapshot>;

pub(super) async fn answer(network: &Arc<Network>, from: Address, node: &Node) -> Result<Node> {
    let (asker, request) = (from.clone(), node.clone());
    let lowest = network.config.app_state_snapshot_from;
    let wanted = move |unit: &mut Unit<'_>| wanted(unit, &asker, &request, lowest);
    let mut snapshots = Snapshots::new();
    for (name, snapshot) in network.store.run(wanted).await? {
        let bytes = snapshot.encode_to_vec();
        let uploaded = media::upload(network, MediaType::AppState, bytes.into()).await?;
        let reference = wa::ExternalBlobReference {
            media_key: Some(uploaded.media_key.to_vec()),
            direct_path: Some(uploaded.direct_path),
            file_size_bytes: Some(uploaded.length),
            file_sha256: Some(uploaded.hash.to_vec()),
            file_enc_sha256: Some(uploaded.enc_hash.to_vec()),
            ..Default::default()
        };
        let snapshot = Snapshot {
            version: snapshot.version.version.unwrap_or_default(),
            reference: reference.encode_to_vec(),
        };
        snapshots.insert(name, snapshot);
    }
    let request = node.clone();
    let answers = move |unit: &mut Unit<'_>| answers(unit, &from, &request, &snapshots);
    network.store.run(answers).await
}

fn asked(node: &Node) -> Result<impl Iterator<Item = &Node>> {
    let sync = node
        .get_optional_child("sync")
        .ok_or_else(|| Error::Invalid("a question about app state without `sync`".into()))?;
    Ok(sync.get_children_by_tag("collection"))
}

/// The version that a device says it has; 0 where it says nothing, `None` where that is no number.
fn version(asked: &Node) -> Option<u64> {
    wire::attr(asked, "version").map_or(Some(0), |version| version.parse::<u32>().ok().map(u64::from))
}

/// The snapshots that the answer needs. A collection needs one if the patches that the device lacks are gone. If the
/// device asks for one, it gets it from the version `lowest` on; shorter collections are as well served by their
/// patches.
fn wanted(
    unit: &Unit<'_>,
    from: &Address,
    node: &Node,
    lowest: u64,
) -> Result<Vec<(&'static str, wa::SyncdSnapshot)>> {
    let mut wanted = Vec::new();
    for asked in asked(node)? {
        let name = app_state::collection(&wire::attr(asked, "name").unwrap_or_default());
        let (Some(name), Some(version)) = (name, version(asked)) else {
            continue;
        };
        let head = app_state::head(unit, &from.phone, name)?;
        let asks = wire::attr(asked, "return_snapshot").as_deref() == Some("true");
        if (version < head.floor || asks && head.version >= lowest)
            && !wanted.iter().any(|(known, _)| *known == name)
            && let Some(snapshot) = app_state::snapshot(unit, &from.phone, name)?
        {
            wanted.push((name, snapshot));
        }
    }
    Ok(wanted)
}

fn answers(unit: &mut Unit<'_>, from: &Address, node: &Node, snapshots: &Snapshots) -> Result<Node> {
    let mut answers = Vec::new();
    let mut seen = BTreeSet::new();
    for asked in asked(node)? {
        let name = wire::attr(asked, "name").unwrap_or_default();
        answers.push(match app_state::collection(&name) {
            None => refused(&name, 404, "item-not-found"),
            Some(name) if !seen.insert(name) => refused(name, 400, "bad-request"),
            Some(name) => one(unit, from, (name, snapshots.get(name)), asked)?,
        });
    }
    let sync = NodeBuilder::new("sync").children(answers).build();
    Ok(wire::iq_result(node, vec![sync]))
}

fn one(
    unit: &mut Unit<'_>,
    from: &Address,
    (name, snapshot): (&'static str, Option<&Snapshot>),
    asked: &Node,
) -> Result<Node> {
    let Some(version) = version(asked) else {
        return Ok(refused(name, 400, "bad-request"));
    };
    let mut conflict = false;
    if let Some(patch) = asked.get_optional_child("patch") {
        let raw = wire::bytes(patch).unwrap_or_default();
        match app_state::upload(unit, from, name, version, &raw) {
            Ok(Uploaded::Stored(stored)) => return Ok(collection(name, stored).build()),
            Ok(Uploaded::Conflict) => conflict = true,
            Err(Error::Invalid(_)) => return Ok(refused(name, 400, "bad-request")),
            Err(error) => return Err(error),
        }
    }
    let head = app_state::head(unit, &from.phone, name)?;
    let since = snapshot.map_or(version, |snapshot| snapshot.version);
    if since < head.floor {
        // The collection was replaced this very moment; asked again, its snapshot is there.
        return Ok(refused(name, 500, "internal-server-error"));
    }
    let page = app_state::after(unit, &from.phone, name, since)?;
    let mut builder = collection(name, head.version);
    let mut children = Vec::new();
    if conflict {
        builder = builder.attr("type", "error");
        children.push(error(409, "conflict"));
    }
    if page.more {
        builder = builder.attr("has_more_patches", "true");
    }
    if let Some(snapshot) = snapshot {
        children.push(wire::bytes_node("snapshot", snapshot.reference.as_slice()));
    }
    if !page.patches.is_empty() {
        let patches = page.patches.into_iter();
        let patches = patches.map(|patch| wire::bytes_node("patch", patch));
        children.push(NodeBuilder::new("patches").children(patches).build());
    }
    Ok(builder.children(children).build())
}

fn collection(name: &'static str, version: u64) -> NodeBuilder {
    NodeBuilder::new("collection")
        .attr("name", name)
        .attr("version", version)
}

fn refused(name: &str, code: u16, text: &'static str) -> Node {
    NodeBuilder::new("collection")
        .attr("name", name)
        .attr("type", "error")
        .children([error(code, text)])
        .build()
}

fn error(code: u16, text: &'static str) -> Node {
    NodeBuilder::new("error")
        .attr("code", code)
        .attr("text", text)
        .build()
}
