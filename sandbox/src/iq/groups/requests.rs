//! Requests to be let in.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{Question, jids};
use crate::directory;
use crate::error::{Error, Result};
use crate::groups::participants::{Change, Verdict};
use crate::groups::requests::{self, Decision};
use crate::groups::view;
use crate::store::Unit;

/// `<membership_approval_requests/>`
pub(super) fn list(unit: &Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let (group, waiting) = requests::list(unit, &question.asker, question.group()?)?;
    let nodes = waiting.iter().map(|(account, at)| {
        view::named(NodeBuilder::new("membership_approval_request"), &group, account)
            .attr("request_method", "invite_link")
            .attr("request_time", *at)
            .build()
    });
    let answer = NodeBuilder::new("membership_approval_requests").children(nodes);
    Ok(question.result(answer.build()))
}

/// `<membership_requests_action>` with `<approve>` or `<reject>`
pub(super) fn decide(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let choices = [("approve", Decision::Approve), ("reject", Decision::Reject)];
    let found = choices.into_iter().find_map(|(tag, decision)| {
        let node = question.child.get_optional_child(tag)?;
        Some((tag, decision, node))
    });
    let (tag, decision, node) =
        found.ok_or_else(|| Error::Invalid("neither <approve> nor <reject>".into()))?;
    let jids = jids(node)?;
    let (group, changes) = requests::decide(unit, &question.asker, question.group()?, (&jids, decision))?;
    let results = NodeBuilder::new(tag)
        .children(view::results(&group, &changes))
        .build();
    let answer = NodeBuilder::new("membership_requests_action").children([results]);
    Ok(question.result(answer.build()))
}

/// `<cancel_membership_requests>`: one's own.
pub(super) fn cancel(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    let asker = &question.asker;
    for jid in jids(question.child)? {
        let own = directory::resolve(unit, &jid)?.is_some_and(|account| account.phone == asker.phone);
        if !own {
            return Err(Error::forbidden("only own requests can be taken back"));
        }
    }
    let group = requests::cancel(unit, asker, question.group()?)?;
    let change = Change {
        jid: group.name(asker),
        account: Some(asker.clone()),
        verdict: Verdict::Done,
    };
    let answer = NodeBuilder::new("cancel_membership_requests").children(view::results(&group, &[change]));
    Ok(question.result(answer.build()))
}
