//! What clients ask about their account at start-up: all of it has its default here, none can be changed yet.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::unknown;
use crate::wire;

/// The privacy settings of a new account.
const PRIVACY: [(&str, &str); 8] = [
    ("last", "all"),
    ("online", "all"),
    ("profile", "all"),
    ("status", "all"),
    ("groupadd", "all"),
    ("calladd", "all"),
    ("readreceipts", "all"),
    ("messages", "all"),
];

pub(super) fn answer(node: &Node) -> Node {
    let xmlns = wire::attr(node, "xmlns").unwrap_or_default();
    let get = wire::attr(node, "type").as_deref() == Some("get");
    match (xmlns.as_ref(), get) {
        ("blocklist", true) => wire::iq_result(node, vec![NodeBuilder::new("list").build()]),
        ("privacy", true) => {
            let categories = PRIVACY.iter().map(|(name, value)| {
                NodeBuilder::new("category")
                    .attr("name", *name)
                    .attr("value", *value)
                    .build()
            });
            wire::iq_result(
                node,
                vec![NodeBuilder::new("privacy").children(categories).build()],
            )
        }
        // Trusted-contact tokens are taken and lead to nothing.
        ("privacy", false) if node.get_optional_child("tokens").is_some() => {
            wire::iq_result(node, Vec::new())
        }
        _ => unknown(node),
    }
}
