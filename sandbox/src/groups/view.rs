//! Groups and their members as stanzas show them.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::participants::{Change, Verdict};
use super::{Group, Member, Role, members};
use crate::directory::{self, Account, Family};
use crate::error::Result;
use crate::store::Unit;

/// How much of a group is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Its members, one by one; their number is shown in any case.
    pub(crate) participants: bool,
    pub(crate) description: bool,
}

impl Extent {
    /// All there is.
    pub(crate) const FULL: Self = Self {
        participants: true,
        description: true,
    };
}

/// `<group>`: what those in it get to know.
pub(crate) fn group(unit: &Unit<'_>, group: &Group, extent: Extent) -> Result<Node> {
    let members = members(unit, &group.id)?;
    let mut node = NodeBuilder::new("group")
        .attr("id", group.id.as_str())
        .attr("subject", group.subject.as_str())
        .attr("s_t", group.subject_at)
        .attr("creation", group.created_at)
        .attr("addressing_mode", group.addressing_mode())
        .attr("p_v_id", group.participants_version.to_string())
        .attr("a_v_id", group.admins_version.to_string())
        .attr("size", members.len());
    node = person(unit, node, group, (SUBJECT_OWNER, &group.subject_owner))?;
    node = person(unit, node, group, (CREATOR, &group.creator))?;
    let mut children = Vec::new();
    if extent.participants {
        children.extend(members.iter().map(|member| participant(group, member)));
    }
    if extent.description
        && let Some(description) = &group.description
    {
        let node = NodeBuilder::new("description")
            .attr("id", description.id.as_str())
            .attr("t", description.at);
        let node = person(unit, node, group, (PARTICIPANT, &description.owner))?;
        children.push(node.children([body(&description.text)]).build());
    }
    children.extend(settings(group));
    Ok(node.children(children).build())
}

/// Names somebody, unless they are no more on the network.
fn person(
    unit: &Unit<'_>,
    node: NodeBuilder,
    group: &Group,
    (keys, phone): (Keys, &str),
) -> Result<NodeBuilder> {
    Ok(match directory::by_phone(unit, phone)? {
        Some(account) => by_both(node, group, &account, keys),
        None => node,
    })
}

/// The attributes that name a person: as the group does, by number and by LID.
type Keys = [&'static str; 3];

pub(super) const PARTICIPANT: Keys = ["participant", "participant_pn", "participant_lid"];
pub(super) const SUBJECT_OWNER: Keys = ["s_o", "s_o_pn", "s_o_lid"];
const CREATOR: Keys = ["creator", "creator_pn", "creator_lid"];
const LISTED: Keys = ["jid", "phone_number", "lid"];

/// Names somebody by both names.
pub(super) fn by_both(
    node: NodeBuilder,
    group: &Group,
    account: &Account,
    [key, by_number, by_lid]: Keys,
) -> NodeBuilder {
    let other = match group.addressing {
        Family::Lid => by_number,
        Family::Pn => by_lid,
    };
    node.attr(key, group.name(account))
        .attr(other, account.alternate(group.addressing, 0))
}

fn settings(group: &Group) -> Vec<Node> {
    let settings = &group.settings;
    let mut children = vec![
        text("member_add_mode", settings.member_add_mode()),
        text("member_link_mode", settings.member_link_mode()),
    ];
    if settings.locked {
        children.push(NodeBuilder::new("locked").build());
    }
    if settings.announcement {
        children.push(NodeBuilder::new("announcement").build());
    }
    // A mode that is off is not shown: clients take its mere presence for on.
    if settings.approval {
        children.push(approval_mode(true));
    }
    if settings.ephemeral > 0 {
        children.push(ephemeral(group));
    }
    children
}

/// `<ephemeral>` or `<not_ephemeral>`
pub(super) fn ephemeral(group: &Group) -> Node {
    let settings = &group.settings;
    if settings.ephemeral == 0 {
        return NodeBuilder::new("not_ephemeral").build();
    }
    let node = NodeBuilder::new("ephemeral").attr("expiration", settings.ephemeral);
    match settings.ephemeral_trigger {
        Some(trigger) => node.attr("trigger", trigger).build(),
        None => node.build(),
    }
}

/// `<membership_approval_mode>`
pub(super) fn approval_mode(on: bool) -> Node {
    let state = NodeBuilder::new("group_join")
        .attr("state", if on { "on" } else { "off" })
        .build();
    NodeBuilder::new("membership_approval_mode")
        .children([state])
        .build()
}

/// `<tag>value</tag>`
pub(super) fn text(tag: &'static str, value: &str) -> Node {
    NodeBuilder::new(tag).string_content(value).build()
}

/// The text of a description, as bytes: text would be packed where it looks like a number.
pub(super) fn body(text: &str) -> Node {
    crate::wire::bytes_node("body", text)
}

/// A member in a list.
fn participant(group: &Group, member: &Member) -> Node {
    let node = named(NodeBuilder::new("participant"), group, &member.account);
    match member.role {
        Role::Member => node.build(),
        role => node.attr("type", role.as_str()).build(),
    }
}

/// Somebody in a list, by both names.
pub(crate) fn named(node: NodeBuilder, group: &Group, account: &Account) -> NodeBuilder {
    by_both(node, group, account, LISTED)
}

/// People in a list.
pub(super) fn participants<'a>(group: &Group, people: impl IntoIterator<Item = &'a Account>) -> Vec<Node> {
    let nodes = people
        .into_iter()
        .map(|account| named(NodeBuilder::new("participant"), group, account).build());
    nodes.collect()
}

/// What became of each of those whom an act named.
pub(crate) fn results(group: &Group, changes: &[Change]) -> Vec<Node> {
    changes.iter().map(|change| result(group, change)).collect()
}

fn result(group: &Group, change: &Change) -> Node {
    let node = NodeBuilder::new("participant");
    let node = match &change.account {
        Some(account) => named(node, group, account),
        None => node.attr("jid", change.jid.clone()),
    };
    match &change.verdict {
        Verdict::Done => node.attr("type", 200).build(),
        Verdict::Refused(code) => node.attr("error", *code).build(),
        Verdict::Invited { code, expires_at } => {
            let request = NodeBuilder::new("add_request")
                .attr("code", code.as_str())
                .attr("expiration", *expires_at)
                .build();
            node.attr("error", 403).children([request]).build()
        }
    }
}

/// `<group>` in the answer to its creation: those who could not be added are named with the reason.
pub(crate) fn created(unit: &Unit<'_>, created: &Group, changes: &[Change]) -> Result<Node> {
    let mut node = group(unit, created, Extent::FULL)?;
    let refused = changes
        .iter()
        .filter(|change| change.verdict != Verdict::Done)
        .map(|change| result(created, change));
    if let Some(wacore_binary::NodeContent::Nodes(children)) = &mut node.content {
        children.extend(refused);
    }
    Ok(node)
}
