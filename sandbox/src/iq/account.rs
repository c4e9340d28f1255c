//! Questions about their account that clients ask at start-up, and that have one answer for everybody here.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::unknown;
use crate::wire;

/// How long the terms that were accepted hold, in seconds.
const TERMS_HOLD: u32 = 86_400;

pub(super) fn answer(node: &Node) -> Node {
    let xmlns = wire::attr(node, "xmlns").unwrap_or_default();
    let get = wire::attr(node, "type").as_deref() == Some("get");
    match (xmlns.as_ref(), get) {
        // There are no bots.
        ("bot", true) => wire::iq_result(node, vec![NodeBuilder::new("bot").attr("v", 2).build()]),
        ("tos", true) => terms(node),
        // Terms are accepted by saying so.
        ("tos", false) => wire::iq_result(node, Vec::new()),
        _ => unknown(node),
    }
}

/// Answers that each notice asked for is settled: nobody has to accept anything.
fn terms(node: &Node) -> Node {
    let asked = wire::children(node)
        .first()
        .map(wire::children)
        .unwrap_or_default();
    let notices = asked.iter().filter_map(|notice| {
        let id = wire::attr(notice, "id")?;
        let settled = NodeBuilder::new("notice")
            .attr("id", id.as_ref())
            .attr("state", 1);
        Some(settled.build())
    });
    let tos = NodeBuilder::new("tos")
        .attr("refresh", TERMS_HOLD)
        .children(notices)
        .build();
    wire::iq_result(node, vec![tos])
}
