//! Who is in: adding, removing, promoting, demoting, leaving.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::{Question, jids};
use crate::error::{Error, Result};
use crate::groups::{participants, view};
use crate::store::Unit;
use crate::wire;

/// `<add>`, `<remove>`, `<promote>` or `<demote>` with participants; answers the same with a result for each.
pub(super) fn change(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let (asker, group) = (&question.asker, question.group()?);
    let jids = jids(question.child)?;
    let tag = question.child.tag.as_ref();
    let (group, changes) = match tag {
        "add" => participants::add(unit, asker, group, &jids)?,
        "remove" => participants::remove(unit, asker, group, &jids)?,
        "promote" => participants::promote(unit, asker, group, &jids)?,
        _ => participants::demote(unit, asker, group, &jids)?,
    };
    let results = view::results(&group, &changes);
    let answer = NodeBuilder::new_dynamic(tag.to_owned()).children(results);
    Ok(question.result(answer.build()))
}

/// `<leave><group id/></leave>`
pub(super) fn leave(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let mut left = Vec::new();
    for group in question.child.get_children_by_tag("group") {
        let jid = group_id(group).ok_or_else(|| Error::Invalid("a group without an id".into()))?;
        participants::leave(unit, &question.asker, &jid)?;
        left.push(NodeBuilder::new("group").attr("id", jid).build());
    }
    if left.is_empty() {
        return Err(Error::Invalid("no group is named".into()));
    }
    Ok(question.result(NodeBuilder::new("leave").children(left).build()))
}

/// An `id` that is a JID, or its digits alone.
fn group_id(node: &Node) -> Option<Jid> {
    let id = wire::attr(node, "id")?;
    if id.contains('@') {
        id.parse().ok()
    } else {
        Some(Jid::group(id.as_ref()))
    }
}
