//! `privacy`: reading and changing settings, with the people whom "my contacts except" leaves out.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::unknown;
use crate::directory::{self, Account, Address};
use crate::error::{Error, Result};
use crate::people::privacy::{self, Category, Exceptions, Value};
use crate::people::tokens;
use crate::store::Unit;
use crate::wire;

/// The most settings and people that one request changes.
const MAX_CHANGES: usize = 1_000;

pub(super) fn answer(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let set = wire::attr(node, "type").as_deref() == Some("set");
    let Some(request) = node.get_optional_child("privacy") else {
        return Ok(match node.get_optional_child("tokens") {
            Some(issued) if set => {
                tokens::issue(unit, from, issued)?;
                wire::iq_result(node, Vec::new())
            }
            _ => unknown(node),
        });
    };
    let children = if set {
        change(unit, from, request)?
    } else {
        read(unit, &from.phone, request)?
    };
    let answer = NodeBuilder::new("privacy").children(children).build();
    Ok(wire::iq_result(node, vec![answer]))
}

/// All settings, or the lists that are named.
fn read(unit: &Unit<'_>, phone: &str, request: &Node) -> Result<Vec<Node>> {
    let lists: Vec<&Node> = request.get_children_by_tag("list").collect();
    if lists.is_empty() {
        return Category::ALL
            .into_iter()
            .map(|category| privacy::node(unit, phone, category))
            .collect();
    }
    lists
        .into_iter()
        .map(|list| privacy::list_node(unit, phone, category(list)?))
        .collect()
}

/// Changes the settings named and answers them as they are then.
fn change(unit: &mut Unit<'_>, from: &Address, request: &Node) -> Result<Vec<Node>> {
    let account = directory::require(unit, &from.phone)?;
    let settings: Vec<&Node> = request.get_children_by_tag("category").collect();
    if settings.is_empty() || settings.len() > Category::ALL.len() {
        return Err(Error::Invalid("no privacy setting is named".into()));
    }
    let mut answers = Vec::new();
    for setting in settings {
        let category = category(setting)?;
        let value = Value::parse(category, &wire::attr(setting, "value").unwrap_or_default())?;
        let change = exceptions(unit, setting)?;
        privacy::set(unit, &account, (category, value), &change, Some(from.device))?;
        answers.push(privacy::node(unit, &account.phone, category)?);
    }
    Ok(answers)
}

fn category(node: &Node) -> Result<Category> {
    Category::parse(&wire::attr(node, "name").unwrap_or_default())
}

fn exceptions(unit: &Unit<'_>, setting: &Node) -> Result<Exceptions> {
    let mut change = Exceptions {
        believed: wire::attr(setting, "dhash").map(std::borrow::Cow::into_owned),
        ..Exceptions::default()
    };
    let users: Vec<&Node> = setting.get_children_by_tag("user").collect();
    if users.len() > MAX_CHANGES {
        return Err(Error::Invalid("too many people in one request".into()));
    }
    for user in users {
        let person = person(unit, user)?;
        match wire::attr(user, "action").as_deref() {
            Some("remove") => change.remove.push(person),
            _ => change.add.push(person),
        }
    }
    Ok(change)
}

fn person(unit: &Unit<'_>, user: &Node) -> Result<Account> {
    let jid = wire::attr_jid(user, "jid").ok_or_else(|| Error::Invalid("nobody is named".into()))?;
    directory::resolve(unit, &jid)?
        .ok_or_else(|| Error::NotFound("one of those named is not on the network".into()))
}
