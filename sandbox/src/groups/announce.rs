//! Telling people of changes to a group: `<notification type="w:gp2">`.
//!
//! All devices of all who are told get it, the acting person's own among them, and the phones as well.

use rand::RngExt as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{Group, members, view};
use crate::directory::{self, Account, Address};
use crate::error::Result;
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};

/// The type of these notifications.
const TYPE: &str = "w:gp2";

/// Tells everybody in the group that `author` did what `change` says.
pub(super) fn to_members(unit: &mut Unit<'_>, group: &Group, author: &Account, change: Node) -> Result<()> {
    let people: Vec<Account> = members(unit, &group.id)?
        .into_iter()
        .map(|member| member.account)
        .collect();
    to(unit, group, author, &people, change)
}

/// Tells the group's admins.
pub(super) fn to_admins(unit: &mut Unit<'_>, group: &Group, author: &Account, change: Node) -> Result<()> {
    let people: Vec<Account> = members(unit, &group.id)?
        .into_iter()
        .filter(|member| member.role.is_admin())
        .map(|member| member.account)
        .collect();
    to(unit, group, author, &people, change)
}

/// Tells `people`, be they in the group or not.
pub(super) fn to(
    unit: &mut Unit<'_>,
    group: &Group,
    author: &Account,
    people: &[Account],
    change: Node,
) -> Result<()> {
    let id = rand::rng().random_range(1_u32..=u32::MAX).to_string();
    let node = view::by_both(NodeBuilder::new("notification"), group, author, view::PARTICIPANT)
        .attr("from", group.jid())
        .attr("id", id.as_str())
        .attr("type", TYPE)
        .attr("t", unit.now_secs())
        .attr("notify", author.name.as_str())
        .attr("addressing_mode", group.addressing_mode())
        .children([change])
        .build();
    let sender = Address::primary(&author.phone);
    let stanza = Stanza {
        kind: Kind::Notification,
        id: &id,
        subtype: TYPE,
        sender: &sender,
        node: &node,
    };
    for person in people {
        for device in directory::devices(unit, &person.phone)? {
            queue::push(unit, &Address::new(&person.phone, device), &stanza)?;
        }
    }
    Ok(())
}
