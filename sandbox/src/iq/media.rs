//! `w:m`: where media go. The network has no media host yet: the host named is one that no name server knows.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::wire;

/// How long the answer holds, in seconds.
const TTL: u32 = 300;

pub(super) fn answer(node: &Node) -> Node {
    let host = NodeBuilder::new("host")
        .attr("hostname", "media.sandbox.invalid")
        .attr("type", "primary")
        .children([
            NodeBuilder::new("upload").build(),
            NodeBuilder::new("download").build(),
        ])
        .build();
    let connection = NodeBuilder::new("media_conn")
        .attr("auth", "sandbox")
        .attr("ttl", TTL)
        .attr("auth_ttl", TTL)
        .attr("max_buckets", 12)
        .children([host])
        .build();
    wire::iq_result(node, vec![connection])
}
