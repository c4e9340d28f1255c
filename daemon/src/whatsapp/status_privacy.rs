//! Whom an account's owner lets see its statuses, as WhatsApp says it.

use anyhow::Context as _;
use wacore::iq::spec::IqSpec;
use wacore::request::InfoQuery;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, NodeContent, NodeRef, Server};

/// Whom an account's owner lets see its statuses.
#[derive(Debug, PartialEq, Eq)]
pub enum Privacy {
    /// All contacts.
    Contacts,
    /// All contacts but these.
    Except(Vec<Jid>),
    /// These alone.
    Only(Vec<Jid>),
}

/// Asks for the account's setting of who sees its statuses.
pub struct ReadPrivacy;

impl IqSpec for ReadPrivacy {
    type Response = Privacy;

    fn build_iq(&self) -> InfoQuery<'static> {
        let privacy = NodeBuilder::new("privacy").build();
        InfoQuery::get(
            "status",
            Jid::new("", Server::Pn),
            Some(NodeContent::Nodes(vec![privacy])),
        )
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> Result<Privacy, anyhow::Error> {
        let privacy = response
            .get_optional_child("privacy")
            .context("no privacy of statuses")?;
        // Lists that are not in use are there as well.
        let list = privacy
            .get_children_by_tag("list")
            .find(|list| {
                list.get_attr("default")
                    .is_some_and(|is_default| is_default == "true")
            })
            .context("no list of those who see statuses")?;
        let people = || {
            let users = list.get_children_by_tag("user");
            let jids = users.map(|user| user.attrs().optional_jid("jid").context("a user without a name"));
            jids.collect::<Result<Vec<Jid>, _>>()
        };
        let kind = list.get_attr("type").map(ToString::to_string);
        match kind.as_deref() {
            Some("contacts") => Ok(Privacy::Contacts),
            Some("blacklist") => Ok(Privacy::Except(people()?)),
            Some("whitelist") => Ok(Privacy::Only(people()?)),
            // Nobody is shown what may not be for them.
            _ => Err(anyhow::anyhow!("an unknown list of those who see statuses")),
        }
    }
}

#[cfg(test)]
mod tests {
    use wacore_binary::Node;

    use super::*;

    fn list(kind: &'static str, is_default: bool, people: &[&str]) -> Node {
        let users = people.iter().map(|jid| {
            NodeBuilder::new("user")
                .attr("jid", jid.parse::<Jid>().expect("a JID"))
                .build()
        });
        let list = NodeBuilder::new("list").attr("type", kind);
        let list = if is_default {
            list.attr("default", "true")
        } else {
            list
        };
        list.children(users).build()
    }

    fn read(lists: Vec<Node>) -> Result<Privacy, anyhow::Error> {
        let privacy = NodeBuilder::new("privacy").children(lists).build();
        let answer = NodeBuilder::new("iq").children([privacy]).build();
        ReadPrivacy.parse_response(&answer.as_node_ref())
    }

    #[test]
    fn the_list_in_use_is_the_one_that_counts() {
        let ada = "15550100001@s.whatsapp.net";
        let jid: Jid = ada.parse().expect("a JID");
        let unused = || list("whitelist", false, &[ada]);
        let all = read(vec![unused(), list("contacts", true, &[])]);
        assert_eq!(all.expect("read"), Privacy::Contacts);
        let except = read(vec![
            list("contacts", false, &[]),
            list("blacklist", true, &[ada]),
        ]);
        assert_eq!(except.expect("read"), Privacy::Except(vec![jid.clone()]));
        let only = read(vec![list("whitelist", true, &[ada])]);
        assert_eq!(only.expect("read"), Privacy::Only(vec![jid]));
        assert!(read(vec![unused()]).is_err(), "none is in use");
        assert!(read(vec![list("friends", true, &[ada])]).is_err());
    }
}
