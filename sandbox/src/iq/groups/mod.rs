//! `w:g2`: groups. What clients ask is read here; the rules are in [`crate::groups`].

mod create;
mod edit;
mod invites;
mod participants;
mod query;
mod requests;

use wacore_binary::{Jid, Node, Server};

use super::unknown;
use crate::directory::{self, Account, Address};
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::wire;

/// A question on groups.
struct Question<'a> {
    asker: Account,
    /// The group it is put to; `None` where it is put to groups as such.
    group: Option<Jid>,
    node: &'a Node,
    /// What is asked.
    child: &'a Node,
}

impl Question<'_> {
    /// The group it is put to.
    fn group(&self) -> Result<&Jid> {
        self.group
            .as_ref()
            .ok_or_else(|| Error::Invalid("a group is to be named".into()))
    }

    /// The answer with one child.
    fn result(&self, child: Node) -> Node {
        wire::iq_result(self.node, vec![child])
    }

    /// The answer that says no more than that it is done.
    fn done(&self) -> Node {
        wire::iq_result(self.node, Vec::new())
    }
}

/// Answers a linked device.
pub(super) fn answer(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let Some(child) = wire::children(node).first() else {
        return Err(Error::Invalid("nothing is asked".into()));
    };
    let group = wire::attr_jid(node, "to").filter(|to| to.server == Server::Group && !to.user.is_empty());
    let set = wire::attr(node, "type").as_deref() == Some("set");
    let question = Question {
        asker: directory::require(unit, &from.phone)?,
        group,
        node,
        child,
    };
    match (set, child.tag.as_ref()) {
        (false, "query") => query::query(unit, &question),
        (false, "participating") => query::participating(unit, &question),
        (true, "create") => create::create(unit, &question),
        (true, "add" | "remove" | "promote" | "demote") => participants::change(unit, &question),
        (true, "accept") => invites::accept(unit, &question),
        (true, "revoke") => invites::revoke(unit, &question),
        (true, "leave") => participants::leave(unit, &question),
        (true, "subject") => edit::subject(unit, &question),
        (true, "description") => edit::description(unit, &question),
        (false, "invite") => invites::see(unit, &question),
        (true, "invite") => invites::change(unit, &question),
        (false, "membership_approval_requests") => requests::list(unit, &question),
        (true, "membership_requests_action") => requests::decide(unit, &question),
        (true, "cancel_membership_requests") => requests::cancel(unit, &question),
        // The client has seen that it is in the group.
        (true, "ack") => Ok(question.done()),
        (true, _) => match edit::setting(child)? {
            Some(setting) => edit::set(unit, &question, setting),
            None => Ok(unknown(node)),
        },
        (false, _) => Ok(unknown(node)),
    }
}

/// The JIDs of the `<participant>`s in `node`.
///
/// # Errors
/// [`Error::Invalid`] for one without a JID.
fn jids(node: &Node) -> Result<Vec<Jid>> {
    node.get_children_by_tag("participant")
        .map(|participant| {
            wire::attr_jid(participant, "jid")
                .ok_or_else(|| Error::Invalid("a participant without a JID".into()))
        })
        .collect()
}

/// A node's text.
///
/// # Errors
/// [`Error::Invalid`] for what is no text.
fn text(node: &Node) -> Result<String> {
    let bytes = wire::bytes(node).unwrap_or_default();
    String::from_utf8(bytes.into_owned())
        .map_err(|_| Error::Invalid(format!("<{}> has to be UTF-8", node.tag)))
}
