//! `status`, `disappearing_mode` and `w:biz`: what people say of themselves.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::unknown;
use crate::directory::{self, Address, Family};
use crate::error::{Error, Result};
use crate::people::privacy::{self, Category};
use crate::people::{business, profile};
use crate::store::Unit;
use crate::wire;

/// The most people of one question.
const MAX_USERS: usize = 1_000;

/// `status`: one's own about text changed, others' asked, and the audience of status updates.
pub(super) fn status(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let set = wire::attr(node, "type").as_deref() == Some("set");
    if let Some(status) = node.get_optional_child("status") {
        if set {
            let text = wire::bytes(status).unwrap_or_default();
            let text = String::from_utf8(text.into_owned())
                .map_err(|_| Error::Invalid("an about text that is no text".into()))?;
            let account = directory::require(unit, &from.phone)?;
            profile::set_about(unit, &account, &text, Some(from.device))?;
            return Ok(wire::iq_result(node, Vec::new()));
        }
        return abouts(unit, from, node, status);
    }
    if !set && node.get_optional_child("privacy").is_some() {
        let all = NodeBuilder::new("list")
            .attr("type", "contacts")
            .attr("default", "true")
            .build();
        let privacy = NodeBuilder::new("privacy").children([all]).build();
        return Ok(wire::iq_result(node, vec![privacy]));
    }
    Ok(unknown(node))
}

fn abouts(unit: &Unit<'_>, from: &Address, node: &Node, status: &Node) -> Result<Node> {
    let asked = wire::children(status);
    if asked.len() > MAX_USERS {
        return Err(Error::Invalid("too many people in one question".into()));
    }
    let mut users = Vec::new();
    for user in asked {
        let Some(jid) = wire::attr_jid(user, "jid") else {
            continue;
        };
        let builder = NodeBuilder::new("user").attr("jid", jid.clone());
        users.push(match directory::resolve(unit, &jid)? {
            None => builder.attr("code", 404).attr("type", "fail").build(),
            Some(account) => {
                if privacy::may_see(unit, &from.phone, &account.phone, Category::Status)? {
                    let about = profile::about(unit, &account.phone)?;
                    builder.attr("t", about.at).bytes(about.text).build()
                } else {
                    builder.attr("code", 401).attr("type", "fail").build()
                }
            }
        });
    }
    let answer = NodeBuilder::new("status").children(users).build();
    Ok(wire::iq_result(node, vec![answer]))
}

/// `disappearing_mode`: the timer with which one's new chats begin.
pub(super) fn disappearing_mode(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    if wire::attr(node, "type").as_deref() == Some("set") {
        let seconds = node
            .get_optional_child("disappearing_mode")
            .and_then(|mode| wire::attr(mode, "duration")?.parse().ok())
            .ok_or_else(|| Error::Invalid("no timer is named".into()))?;
        let account = directory::require(unit, &from.phone)?;
        profile::set_timer(unit, &account, seconds, Some(from.device))?;
        return Ok(wire::iq_result(node, Vec::new()));
    }
    Ok(wire::iq_result(
        node,
        vec![profile::timer_node(unit, &from.phone)?],
    ))
}

/// `w:biz`: the profiles of businesses. Nothing is said of those who are none.
pub(super) fn business(unit: &Unit<'_>, node: &Node) -> Result<Node> {
    let request = node.get_optional_child("business_profile");
    let (Some(request), Some("get")) = (request, wire::attr(node, "type").as_deref()) else {
        return Ok(unknown(node));
    };
    let asked = wire::children(request);
    if asked.len() > MAX_USERS {
        return Err(Error::Invalid("too many profiles in one question".into()));
    }
    let mut profiles = Vec::new();
    for profile in asked {
        let Some(jid) = wire::attr_jid(profile, "jid") else {
            continue;
        };
        if let (Some(account), Some(family)) = (directory::resolve(unit, &jid)?, Family::of(&jid))
            && let Some(business) = business::get(unit, &account.phone)?
        {
            profiles.push(business::profile(&account, family, &business));
        }
    }
    let answer = NodeBuilder::new("business_profile").children(profiles).build();
    Ok(wire::iq_result(node, vec![answer]))
}
