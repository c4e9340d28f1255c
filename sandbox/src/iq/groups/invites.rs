//! Links to a group, and personal invitations.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{Question, jids};
use crate::error::{Error, Result};
use crate::groups::invites::{self, Joined};
use crate::groups::{invitations, view};
use crate::store::Unit;
use crate::wire;

/// A group's code; or, put to no group, what a code leads to.
pub(super) fn see(unit: &Unit<'_>, question: &Question<'_>) -> Result<Node> {
    if let Some(group) = &question.group {
        let code = invites::code(unit, &question.asker, group)?;
        return Ok(question.result(invite(&code)));
    }
    let group = invites::group(unit, &code(question)?)?;
    // Strangers learn how many are in, not who.
    let extent = view::Extent {
        participants: false,
        description: true,
    };
    Ok(question.result(view::group(unit, &group, extent)?))
}

/// Resets a group's code; or, put to no group, follows a code.
pub(super) fn change(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    if let Some(group) = &question.group {
        let code = invites::reset(unit, &question.asker, group)?;
        return Ok(question.result(invite(&code)));
    }
    let (tag, group) = match invites::join(unit, &question.asker, &code(question)?)? {
        Joined::Member(group) => ("group", group),
        Joined::Requested(group) => ("membership_approval_request", group),
    };
    Ok(question.result(NodeBuilder::new(tag).attr("jid", group.jid()).build()))
}

/// `<accept code admin/>`: a personal invitation.
pub(super) fn accept(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let host = wire::attr_jid(question.child, "admin")
        .ok_or_else(|| Error::Invalid("who invited is not named".into()))?;
    let code = code(question)?;
    let group = invitations::accept(unit, &question.asker, question.group()?, (&code, &host))?;
    Ok(question.result(NodeBuilder::new("group").attr("jid", group.jid()).build()))
}

/// `<revoke>` with participants: takes personal invitations back.
pub(super) fn revoke(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let jids = jids(question.child)?;
    let (group, changes) = invitations::revoke(unit, &question.asker, question.group()?, &jids)?;
    let answer = NodeBuilder::new("revoke").children(view::results(&group, &changes));
    Ok(question.result(answer.build()))
}

fn invite(code: &str) -> Node {
    NodeBuilder::new("invite").attr("code", code).build()
}

fn code(question: &Question<'_>) -> Result<String> {
    let code = wire::attr(question.child, "code");
    code.map(std::borrow::Cow::into_owned)
        .ok_or_else(|| Error::Invalid("neither a group nor a code is named".into()))
}
