//! What a group is: one, several, or all that somebody is in.

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::Question;
use crate::error::{Error, Result};
use crate::groups::members::{groups_of, members};
use crate::groups::{self, Group, view};
use crate::store::Unit;
use crate::wire;

/// The most groups of one question.
const MAX_GROUPS: usize = 10_000;

/// `<query>`: of the group it is put to, or of those it names.
pub(super) fn query(unit: &Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let Some(jid) = &question.group else {
        return several(unit, question);
    };
    let (group, _) = groups::enter(unit, jid, &question.asker)?;
    // A client that knows the participants already only hears that nothing changed.
    if let Some(known) = wire::attr(question.child, "phash")
        && known == participants_hash(unit, &group)?
    {
        return Ok(question.done());
    }
    Ok(question.result(view::group(unit, &group, view::Extent::FULL)?))
}

fn participants_hash(unit: &Unit<'_>, group: &Group) -> Result<String> {
    let jids: Vec<Jid> = members(unit, &group.id)?
        .iter()
        .map(|member| group.name(&member.account))
        .collect();
    MessageUtils::participant_list_hash(&jids).map_err(|error| Error::codec("a participant hash", error))
}

fn several(unit: &Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let asked: Vec<&Node> = question.child.get_children_by_tag("group").collect();
    if asked.is_empty() || asked.len() > MAX_GROUPS {
        return Err(Error::Invalid(format!(
            "1 to {MAX_GROUPS} groups are to be named"
        )));
    }
    let mut answers = Vec::with_capacity(asked.len());
    for group in asked {
        let jid =
            wire::attr_jid(group, "jid").ok_or_else(|| Error::Invalid("a group without a JID".into()))?;
        answers.push(match groups::enter(unit, &jid, &question.asker) {
            Ok((group, _)) => view::group(unit, &group, view::Extent::FULL)?,
            Err(Error::NotFound(_)) => refused(&jid, 404),
            Err(Error::Refused { code, .. }) => refused(&jid, code),
            Err(error) => return Err(error),
        });
    }
    Ok(question.result(NodeBuilder::new("groups").children(answers).build()))
}

fn refused(group: &Jid, code: u16) -> Node {
    NodeBuilder::new("group")
        .attr("id", group.user.as_str())
        .attr("error", code)
        .build()
}

/// `<participating>`: all groups that the asker is in, with as much of each as it asks for.
pub(super) fn participating(unit: &Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let wanted = |tag| question.child.get_optional_child(tag).is_some();
    let extent = view::Extent {
        participants: wanted("participants"),
        description: wanted("description"),
    };
    let groups = groups_of(unit, &question.asker.phone)?;
    let nodes = groups
        .iter()
        .map(|group| view::group(unit, group, extent))
        .collect::<Result<Vec<_>>>()?;
    Ok(question.result(NodeBuilder::new("groups").children(nodes).build()))
}
