//! Sealed frames that hold no stanza, or one made to hurt.

use std::io::Write as _;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{marshal, token};

use super::{Pair, ended};
use crate::client::TestClient;
use crate::net::{Admin, start};
use crate::raw::RawClient;

/// A stanza of eight mebibytes, compressed to a few kilobytes.
fn bomb() -> Vec<u8> {
    let node = NodeBuilder::new("iq").bytes(vec![0; 8 << 20]).build();
    let mut encoder = flate2::write::ZlibEncoder::new(vec![2], flate2::Compression::best());
    encoder
        .write_all(&marshal(&node).expect("it encodes")[1..])
        .expect("it compresses");
    encoder.finish().expect("it compresses")
}

/// Nodes within nodes, until the frame is full.
fn deep() -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend([token::LIST_8, 2, 5, token::LIST_8, 1].repeat(200_000));
    bytes
}

/// JIDs within JIDs: a decoder that follows them needs a stack frame for each.
fn nested_jids() -> Vec<u8> {
    let mut bytes = vec![0, token::LIST_8, 3, 5, 5];
    bytes.extend(vec![token::JID_PAIR; 1 << 20]);
    bytes
}

/// Lists that announce 65,535 nodes each, one within the other.
fn boasts() -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend([token::LIST_8, 2, 5, token::LIST_16, 0xff, 0xff].repeat(30));
    bytes
}

/// More attributes than any stanza has.
fn attributes() -> Vec<u8> {
    let mut bytes = vec![0, token::LIST_16, 0xff, 0xff, 5];
    bytes.extend(vec![5; 65_534]);
    bytes
}

/// A million empty nodes.
fn crowd() -> Vec<u8> {
    let mut bytes = vec![0, token::LIST_8, 2, 5, token::LIST_8, 20];
    for _ in 0..20 {
        bytes.extend([token::LIST_8, 2, 5, token::LIST_16, 0xff, 0xff]);
        bytes.extend([token::LIST_8, 1, 5].repeat(65_535));
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stanzas_made_to_hurt_end_their_own_connection() {
    let sandbox = start(None).await;
    let mut pair = Pair::start(&sandbox).await;
    let hostile = [
        ("nothing", Vec::new()),
        ("a flag and no more", vec![0]),
        ("rubbish", vec![0, 1, 2, 3, 4, 5]),
        ("compressed rubbish", vec![2, 1, 2, 3, 4, 5]),
        ("a bomb", bomb()),
        ("a deep stanza", deep()),
        ("nested JIDs", nested_jids()),
        ("a boast", boasts()),
        ("many attributes", attributes()),
        ("many nodes", crowd()),
    ];
    let count = hostile.len() as u64;
    for (what, plaintext) in hostile {
        assert!(plaintext.len() < 4 << 20, "{what} fits a frame");
        let mut client = RawClient::stranger(&sandbox.ws_url()).await;
        client.send_plain(&plaintext).await;
        client.closed().await;
        pair.talk().await;
    }
    ended(&sandbox, "undecodable", count).await;
    pair.unhurt().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_device_may_ask_strange_things_and_stays() {
    let sandbox = start(None).await;
    let pair = Pair::start(&sandbox).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let backend = client.stop().await;
    let mut raw = RawClient::login(&sandbox.ws_url(), &backend).await;
    let before = admin.ok("GET", "/admin/stats", "").await["stanzas"]["out"]["iq"].as_u64();

    // Stanzas that lack what they need are not answered, and are no reason to end.
    for tag in ["message", "receipt", "ack", "ib", "presence", "xyzzy"] {
        raw.send(&NodeBuilder::new(tag).build()).await;
    }
    // A question about more people than one may ask about, and one about nobody.
    let users = (0..5_000).map(|n| {
        let jid: wacore_binary::Jid = format!("15550{n:07}@s.whatsapp.net").parse().expect("a JID");
        NodeBuilder::new("user").attr("jid", jid).build()
    });
    let list = NodeBuilder::new("list").children(users).build();
    let query = NodeBuilder::new("query")
        .children([NodeBuilder::new("devices").build()])
        .build();
    let usync = NodeBuilder::new("usync").children([query, list]).build();
    let question = |id: &'static str| {
        NodeBuilder::new("iq")
            .attr("id", id)
            .attr("type", "get")
            .attr("xmlns", "usync")
    };
    raw.send(&question("1").children([usync]).build()).await;
    raw.send(&question("2").build()).await;
    // Both questions are answered, so all before them was taken, on this connection.
    let answered = |stats: &serde_json::Value| {
        stats["stanzas"]["out"]["iq"].as_u64() >= Some(before.unwrap_or_default() + 2)
            && stats["clients"] == 3
    };
    admin.until("/admin/stats", answered).await;
    pair.unhurt().await;
    sandbox.shutdown().await;
}
