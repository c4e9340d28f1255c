//! `blocklist`: whom the person has blocked, by LID as the current protocol has it.

use wacore_binary::Node;

use crate::directory::{self, Address, Family};
use crate::error::{Error, Result};
use crate::people::blocks;
use crate::store::Unit;
use crate::wire;

pub(super) fn answer(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    if wire::attr(node, "type").as_deref() == Some("set") {
        change(unit, from, node)?;
    }
    let list = blocks::list(unit, &from.phone)?;
    Ok(wire::iq_result(node, vec![blocks::node(&list)]))
}

/// `<item action jid=LID pn_jid=PN>`: to block takes both names, to unblock the LID.
fn change(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<()> {
    let invalid = |what: &str| Error::Invalid(format!("a change of the block list without {what}"));
    let item = node
        .get_optional_child("item")
        .ok_or_else(|| invalid("an <item>"))?;
    let blocked = match wire::attr(item, "action").as_deref() {
        Some("block") => true,
        Some("unblock") => false,
        _ => return Err(invalid("an action")),
    };
    let lid = wire::attr_jid(item, "jid")
        .filter(|jid| Family::of(jid) == Some(Family::Lid))
        .ok_or_else(|| invalid("a LID"))?;
    let person = directory::resolve(unit, &lid)?
        .ok_or_else(|| Error::NotFound("nobody on the network has this LID".into()))?;
    if blocked {
        let number = wire::attr_jid(item, "pn_jid").ok_or_else(|| invalid("a number"))?;
        if number.user.as_str() != person.phone {
            return Err(invalid("the number that belongs to the LID"));
        }
    }
    let account = directory::require(unit, &from.phone)?;
    let believed = wire::attr(item, "dhash");
    blocks::set(
        unit,
        &account,
        &person,
        blocked,
        (Some(from.device), believed.as_deref()),
    )
}

#[cfg(test)]
mod tests {
    use wacore_binary::builder::NodeBuilder;

    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn only_the_current_forms_are_taken() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let me = identity::create(unit, None, None)?;
            let other = identity::create(unit, None, None)?;
            let mut ask = |attrs: Vec<(&'static str, String)>| {
                let item = NodeBuilder::new("item").attrs(attrs).build();
                let request = NodeBuilder::new("iq")
                    .attr("id", "1")
                    .attr("type", "set")
                    .children([item])
                    .build();
                answer(unit, &Address::new(&me.phone, 1), &request)
            };
            let lid = other.jid(Family::Lid, 0).to_string();
            let pn = other.jid(Family::Pn, 0).to_string();
            let block = |jid: &str| vec![("action", "block".to_owned()), ("jid", jid.to_owned())];
            let with = |mut attrs: Vec<(&'static str, String)>, key, value: &str| {
                attrs.push((key, value.to_owned()));
                attrs
            };
            assert!(matches!(ask(block(&pn)), Err(Error::Invalid(_))));
            assert!(matches!(ask(block(&lid)), Err(Error::Invalid(_))));
            let foreign = with(block(&lid), "pn_jid", &me.jid(Family::Pn, 0).to_string());
            assert!(matches!(ask(foreign), Err(Error::Invalid(_))));
            let answer = ask(with(block(&lid), "pn_jid", &pn))?;
            let list = answer.get_optional_child("list").unwrap();
            assert_eq!(
                wire::attr_jid(&wire::children(list)[0], "jid"),
                Some(other.jid(Family::Lid, 0))
            );
            let unblock = vec![("action", "unblock".to_owned()), ("jid", lid)];
            let stale = with(unblock.clone(), "dhash", "none");
            assert!(matches!(ask(stale), Err(Error::Conflict(_))));
            let fresh = wire::attr(list, "dhash").unwrap().into_owned();
            let answer = ask(with(unblock, "dhash", &fresh))?;
            assert!(wire::children(answer.get_optional_child("list").unwrap()).is_empty());
            Ok(())
        });
    }
}
