//! Stanzas of a linked device that were damaged on the way: whatever they have become, handling them ends nothing but
//! their own connection.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, marshal};

use super::Pair;
use crate::client::TestClient;
use crate::net::{Admin, start};
use crate::raw::RawClient;

/// How many damaged stanzas are sent.
const STANZAS: u32 = 80;

fn sound(to: &str) -> Vec<Node> {
    let jid: Jid = format!("{to}@s.whatsapp.net").parse().expect("a JID");
    let enc = NodeBuilder::new("enc")
        .attr("v", "2")
        .attr("type", "pkmsg")
        .bytes(vec![0x33; 150])
        .build();
    let device = NodeBuilder::new("to")
        .attr("jid", jid.clone())
        .children([enc])
        .build();
    let question = |xmlns: &'static str, child: Node| {
        NodeBuilder::new("iq")
            .attr("id", "1")
            .attr("type", "get")
            .attr("xmlns", xmlns)
            .children([child])
            .build()
    };
    let user = NodeBuilder::new("user").attr("jid", jid.clone()).build();
    let usync = NodeBuilder::new("usync")
        .children([
            NodeBuilder::new("query")
                .children([NodeBuilder::new("devices").build()])
                .build(),
            NodeBuilder::new("list").children([user.clone()]).build(),
        ])
        .build();
    vec![
        NodeBuilder::new("message")
            .attr("to", jid.clone())
            .attr("id", "3EB0AA")
            .attr("type", "text")
            .children([NodeBuilder::new("participants").children([device]).build()])
            .build(),
        NodeBuilder::new("receipt")
            .attr("to", jid.clone())
            .attr("id", "3EB0AA")
            .attr("type", "read")
            .build(),
        NodeBuilder::new("ack")
            .attr("class", "receipt")
            .attr("id", "3EB0AA")
            .attr("to", jid)
            .build(),
        question("usync", usync),
        question("encrypt", NodeBuilder::new("key").children([user]).build()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_stanzas_end_their_own_connection_at_most() {
    let sandbox = start(None).await;
    let pair = Pair::start(&sandbox).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let backend = client.stop().await;
    let stanzas = sound(&pair.to);
    let mut random = StdRng::seed_from_u64(11);
    let closed = |stats: &serde_json::Value| {
        let reasons = stats["closed"].as_object().expect("reasons");
        reasons
            .values()
            .filter_map(serde_json::Value::as_u64)
            .sum::<u64>()
    };
    for _ in 0..STANZAS {
        let mut raw = RawClient::login(&sandbox.ws_url(), &backend).await;
        let stanza = &stanzas[random.random_range(0..stanzas.len())];
        let mut bytes = marshal(stanza).expect("it encodes");
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(1..bytes.len());
            bytes[at] = random.random();
        }
        raw.send_plain(&bytes).await;
        // What nobody sealed ends the connection, if the stanza before it did not.
        raw.send_unsealed(vec![0, 0, 1, 0]).await;
        raw.closed().await;
    }
    // Whoever came and is no longer there has ended with a reason; a handler that panics would have none. Counted from
    // the beginning: a client is gone a moment before its reason is counted.
    let all = |stats: &serde_json::Value| {
        let handshakes = &stats["handshakes"];
        // A client that comes back knows the server's key, and shakes hands in another way.
        let came = ["xx", "ik", "fallbacks"].map(|way| handshakes[way].as_u64().expect("a number"));
        let came: u64 = came.iter().sum();
        came > u64::from(STANZAS) && stats["clients"] == 2 && closed(stats) + 2 == came
    };
    admin.until("/admin/stats", all).await;
    pair.unhurt().await;
    sandbox.shutdown().await;
}
