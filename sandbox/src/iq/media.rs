//! `w:m`: where media go, and the authorisation to upload.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::directory::Address;
use crate::error::Result;
use crate::network::Network;
use crate::{media, wire};

/// Into how many buckets the real host spreads downloads; clients only read it.
const BUCKETS: u32 = 12;

pub(super) async fn answer(network: &Network, from: Address, node: &Node) -> Result<Node> {
    if node.get_optional_child("media_conn").is_none() {
        return Ok(super::unknown(node));
    }
    let ttl = i64::try_from(network.config.media_auth_ttl.as_secs()).unwrap_or(i64::MAX);
    let (auth, auth_ttl) = network
        .store
        .run(move |unit| media::authorise(unit, &from.phone, ttl))
        .await?;
    let host = NodeBuilder::new("host")
        .attr("hostname", network.media.authority())
        .attr("type", "primary")
        .children([
            NodeBuilder::new("upload").build(),
            NodeBuilder::new("download").build(),
        ])
        .build();
    let connection = NodeBuilder::new("media_conn")
        .attr("auth", auth)
        .attr("ttl", auth_ttl)
        .attr("auth_ttl", auth_ttl)
        .attr("max_buckets", BUCKETS)
        .children([host])
        .build();
    Ok(wire::iq_result(node, vec![connection]))
}
