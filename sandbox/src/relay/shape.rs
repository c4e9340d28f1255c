//! What a `<message>` must look like to be relayed at all.
//!
//! The real server parses stanzas against a schema. It answers those that do not fit with error 479, and relays
//! nothing. Clients take that for a fault of their own and do not try again.

use wacore_binary::{Node, NodeContent};

use crate::wire;

/// The stanza does not fit the schema.
pub(super) const MALFORMED: u16 = 479;

/// The longest id that is taken. Clients give 18 to 32 characters.
const MAX_ID: usize = 128;

/// The kinds of ciphertexts: of a new session, of an established one, for a group, of a bot.
const CIPHERTEXTS: [&str; 4] = ["pkmsg", "msg", "skmsg", "msmsg"];

/// The values of `edit`: edit, pin, an admin's edit, revoke, an admin's revoke.
const EDITS: [&str; 5] = ["1", "2", "3", "7", "8"];

/// Whether `node` is a message that can be taken.
pub(super) fn fits(node: &Node) -> bool {
    let id = wire::attr(node, "id").unwrap_or_default();
    let edit = wire::attr(node, "edit");
    (1..=MAX_ID).contains(&id.len())
        && wire::attr_jid(node, "to").is_some()
        && edit.is_none_or(|edit| edit.is_empty() || EDITS.contains(&edit.as_ref()))
        && node.get_children_by_tag("enc").all(ciphertext_fits)
        && node.get_children_by_tag("participants").all(participants_fit)
        && node.get_children_by_tag("reporting").all(report_fits)
}

/// Whether it has a ciphertext for anybody.
pub(super) fn has_ciphertext(node: &Node) -> bool {
    node.get_optional_child("enc").is_some()
        || node
            .get_optional_child("participants")
            .is_some_and(|participants| {
                participants
                    .get_children_by_tag("to")
                    .any(|to| to.get_optional_child("enc").is_some())
            })
}

fn ciphertext_fits(enc: &Node) -> bool {
    let kind = wire::attr(enc, "type").unwrap_or_default();
    CIPHERTEXTS.contains(&kind.as_ref())
        && wire::attr(enc, "v").is_some()
        && wire::bytes(enc).is_some_and(|sealed| !sealed.is_empty())
}

/// Entries without a ciphertext name the readers of a status.
fn participants_fit(participants: &Node) -> bool {
    participants
        .get_children_by_tag("to")
        .all(|to| wire::attr_jid(to, "jid").is_some() && to.get_children_by_tag("enc").all(ciphertext_fits))
}

/// The token of a report is bytes; as text it is refused.
fn report_fits(reporting: &Node) -> bool {
    let token = reporting.get_optional_child("reporting_token");
    token.is_none_or(|token| matches!(token.content, Some(NodeContent::Bytes(_))))
}

#[cfg(test)]
mod tests {
    use wacore_binary::Jid;
    use wacore_binary::builder::NodeBuilder;

    use super::*;

    fn enc(kind: &'static str, sealed: &[u8]) -> Node {
        NodeBuilder::new("enc")
            .attr("v", "2")
            .attr("type", kind)
            .bytes(sealed.to_vec())
            .build()
    }

    fn message(id: &str, children: Vec<Node>) -> Node {
        NodeBuilder::new("message")
            .attr("id", id)
            .attr("to", Jid::pn("155501000001"))
            .children(children)
            .build()
    }

    #[test]
    fn what_does_not_fit() {
        let good = message("A", vec![enc("msg", &[1])]);
        assert!(fits(&good) && has_ciphertext(&good));
        let with_edit = |edit: &'static str| {
            let mut node = good.clone();
            node.attrs.insert("edit", edit);
            node
        };
        assert!(fits(&with_edit("7")));
        let no_version = NodeBuilder::new("enc").attr("type", "msg").bytes(vec![1]).build();
        let for_nobody = NodeBuilder::new("to").children([enc("msg", &[1])]).build();
        let participants = NodeBuilder::new("participants").children([for_nobody]).build();
        let token = NodeBuilder::new("reporting_token").string_content("text").build();
        let report = NodeBuilder::new("reporting").children([token]).build();
        for (what, node) in [
            (
                "no id",
                NodeBuilder::new("message")
                    .attr("to", Jid::pn("155501000001"))
                    .build(),
            ),
            ("a long id", message(&"A".repeat(MAX_ID + 1), vec![])),
            (
                "no addressee",
                NodeBuilder::new("message").attr("id", "A").build(),
            ),
            ("an unknown edit", with_edit("9")),
            ("an unknown ciphertext", message("A", vec![enc("rot13", &[1])])),
            ("no version", message("A", vec![no_version])),
            ("an empty ciphertext", message("A", vec![enc("msg", &[])])),
            ("a copy for nobody", message("A", vec![participants])),
            ("a report in words", message("A", vec![report])),
        ] {
            assert!(!fits(&node), "{what}");
        }
        assert!(!has_ciphertext(&message("A", vec![])));
    }
}
