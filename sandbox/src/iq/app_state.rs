//! `w:sync:app:state`: devices bring patches of the account's collections, and ask for those they lack.
//!
//! One question names several collections, and each gets its own answer: an error in one of them says nothing about
//! the others.

use std::collections::BTreeSet;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::app_state::{self, Uploaded};
use crate::directory::Address;
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::wire;

pub(super) fn answer(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let sync = node
        .get_optional_child("sync")
        .ok_or_else(|| Error::Invalid("a question about app state without `sync`".into()))?;
    let mut answers = Vec::new();
    let mut seen = BTreeSet::new();
    for asked in sync.get_children_by_tag("collection") {
        let name = wire::attr(asked, "name").unwrap_or_default();
        answers.push(match app_state::collection(&name) {
            None => refused(&name, 404, "item-not-found"),
            Some(name) if !seen.insert(name) => refused(name, 400, "bad-request"),
            Some(name) => one(unit, from, name, asked)?,
        });
    }
    let sync = NodeBuilder::new("sync").children(answers).build();
    Ok(wire::iq_result(node, vec![sync]))
}

fn one(unit: &mut Unit<'_>, from: &Address, name: &'static str, asked: &Node) -> Result<Node> {
    let version = match wire::attr(asked, "version").map(|version| version.parse::<u32>()) {
        None => 0,
        Some(Ok(version)) => u64::from(version),
        Some(Err(_)) => return Ok(refused(name, 400, "bad-request")),
    };
    let Some(patch) = asked.get_optional_child("patch") else {
        return missing(
            unit,
            from,
            collection(unit, from, name)?,
            (name, version),
            Vec::new(),
        );
    };
    let raw = wire::bytes(patch).unwrap_or_default();
    match app_state::upload(unit, from, name, version, &raw) {
        Ok(Uploaded::Stored(_)) => Ok(collection(unit, from, name)?.build()),
        Ok(Uploaded::Conflict) => {
            let conflict = collection(unit, from, name)?.attr("type", "error");
            missing(
                unit,
                from,
                conflict,
                (name, version),
                vec![error(409, "conflict")],
            )
        }
        Err(Error::Invalid(_)) => Ok(refused(name, 400, "bad-request")),
        Err(error) => Err(error),
    }
}

fn collection(unit: &Unit<'_>, from: &Address, name: &'static str) -> Result<NodeBuilder> {
    let head = app_state::head(unit, &from.phone, name)?;
    Ok(NodeBuilder::new("collection")
        .attr("name", name)
        .attr("version", head.version))
}

/// Finishes an answer with the patches after `version`, behind other `children`.
fn missing(
    unit: &Unit<'_>,
    from: &Address,
    answer: NodeBuilder,
    (name, version): (&'static str, u64),
    mut children: Vec<Node>,
) -> Result<Node> {
    let page = app_state::after(unit, &from.phone, name, version)?;
    let patches = page
        .patches
        .into_iter()
        .map(|patch| wire::bytes_node("patch", patch));
    let patches: Vec<Node> = patches.collect();
    let mut builder = answer;
    if page.more {
        builder = builder.attr("has_more_patches", "true");
    }
    if !patches.is_empty() {
        children.push(NodeBuilder::new("patches").children(patches).build());
    }
    Ok(builder.children(children).build())
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
