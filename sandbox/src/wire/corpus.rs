//! Stanzas in the shapes that clients send, and ways to damage them, for property tests.
//!
//! The corpus is made, not recorded, so that it needs no keys and no people: each entry has the tags, attributes and
//! kinds of content that `whatsapp-rust` sends at start-up, when it pairs and when it talks.

use proptest::prelude::*;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent};

use super::{bytes_node, encode, key_id};

fn jid(text: &str) -> Jid {
    text.parse().expect("a JID")
}

fn iq(xmlns: &'static str, kind: &'static str, children: Vec<Node>) -> Node {
    NodeBuilder::new("iq")
        .attr("id", "7.1-42")
        .attr("to", jid("s.whatsapp.net"))
        .attr("type", kind)
        .attr("xmlns", xmlns)
        .children(children)
        .build()
}

fn encrypted(kind: &'static str, size: usize) -> Node {
    NodeBuilder::new("enc")
        .attr("v", "2")
        .attr("type", kind)
        .bytes(vec![0x33; size])
        .build()
}

fn message() -> Node {
    let devices = [
        "155501000001@s.whatsapp.net",
        "155501000001:3@s.whatsapp.net",
        "99:7@lid",
    ];
    let to = devices.map(|device| {
        NodeBuilder::new("to")
            .attr("jid", jid(device))
            .children([encrypted("pkmsg", 190)])
            .build()
    });
    NodeBuilder::new("message")
        .attr("to", jid("155501000001@s.whatsapp.net"))
        .attr("id", "3EB0C431C26A1916E07E")
        .attr("type", "text")
        .attr("phash", "2:BxQz8pMs")
        .children([
            NodeBuilder::new("participants").children(to).build(),
            bytes_node("device-identity", vec![8; 120]),
        ])
        .build()
}

fn upload() -> Node {
    let keys = (1..40).map(|id| {
        NodeBuilder::new("key")
            .children([bytes_node("id", key_id(id)), bytes_node("value", vec![9; 32])])
            .build()
    });
    let children = vec![
        bytes_node("registration", vec![0, 0, 1, 2]),
        bytes_node("type", vec![5]),
        bytes_node("identity", vec![4; 32]),
        NodeBuilder::new("list").children(keys).build(),
        NodeBuilder::new("skey")
            .children([
                bytes_node("id", key_id(1)),
                bytes_node("value", vec![3; 32]),
                bytes_node("signature", vec![2; 64]),
            ])
            .build(),
    ];
    iq("encrypt", "set", children)
}

fn usync() -> Node {
    let users = (1..20).map(|n| {
        let contact = NodeBuilder::new("contact")
            .string_content(format!("+1555010000{n:02}"))
            .build();
        NodeBuilder::new("user").children([contact]).build()
    });
    let query = ["devices", "contact", "lid"].map(|tag| NodeBuilder::new(tag).build());
    let usync = NodeBuilder::new("usync")
        .attr("sid", "7.1-43")
        .attr("mode", "query")
        .attr("last", "true")
        .attr("index", "0")
        .attr("context", "interactive")
        .children([
            NodeBuilder::new("query").children(query).build(),
            NodeBuilder::new("list").children(users).build(),
        ])
        .build();
    iq("usync", "get", vec![usync])
}

/// The stanzas.
pub(crate) fn stanzas() -> Vec<Node> {
    let receipt = |kind: &'static str| {
        let items = ["3EB0AA", "3EB0BB"].map(|id| NodeBuilder::new("item").attr("id", id).build());
        NodeBuilder::new("receipt")
            .attr("to", jid("155501000002:1@s.whatsapp.net"))
            .attr("id", "3EB0C431C26A1916E07E")
            .attr("type", kind)
            .children([NodeBuilder::new("list").children(items).build()])
            .build()
    };
    let retry = NodeBuilder::new("retry")
        .attr("v", "1")
        .attr("id", "3EB0AA")
        .attr("count", "1")
        .attr("t", "1900000000")
        .build();
    vec![
        message(),
        upload(),
        usync(),
        iq("passive", "set", vec![NodeBuilder::new("active").build()]),
        iq("w:p", "get", Vec::new()),
        iq(
            "abt",
            "get",
            vec![NodeBuilder::new("props").attr("protocol", "1").build()],
        ),
        iq("encrypt", "get", vec![NodeBuilder::new("digest").build()]),
        receipt("read"),
        receipt("inactive"),
        NodeBuilder::new("receipt")
            .attr("to", jid("99:7@lid"))
            .attr("id", "3EB0AA")
            .attr("type", "retry")
            .children([retry, bytes_node("registration", vec![0, 0, 1, 2])])
            .build(),
        NodeBuilder::new("ack")
            .attr("class", "notification")
            .attr("id", "devices-1")
            .attr("to", jid("155501000002@s.whatsapp.net"))
            .attr("type", "devices")
            .build(),
        NodeBuilder::new("ib")
            .children([NodeBuilder::new("offline_batch").attr("count", "200").build()])
            .build(),
        NodeBuilder::new("presence")
            .attr("type", "available")
            .attr("name", "Ada Lovelace")
            .build(),
        NodeBuilder::new("chatstate")
            .attr("to", jid("155501000002@s.whatsapp.net"))
            .children([NodeBuilder::new("composing").build()])
            .build(),
    ]
}

/// The same, as plaintext frames.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    stanzas()
        .iter()
        .map(|node| encode(node).expect("it encodes"))
        .collect()
}

/// One way to damage bytes.
#[derive(Debug, Clone)]
pub(crate) enum Damage {
    Set(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index),
}

impl Damage {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Remove(at) => {
                bytes.remove(at.index(length));
            }
            Self::Insert(at, more) => {
                let at = at.index(length);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Repeat(at) => bytes.extend_from_within(at.index(length)..),
        }
    }
}

/// Some damage: a handful of blows.
pub(crate) fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let at = any::<prop::sample::Index>;
    let blow = prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        // The bytes that begin lists, JIDs and long strings do the most harm.
        4 => (at(), 236_u8..=255).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => at().prop_map(Damage::Remove),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, more)| Damage::Insert(at, more)),
        1 => at().prop_map(Damage::Cut),
        1 => at().prop_map(Damage::Repeat),
    ];
    prop::collection::vec(blow, 1..6)
}

/// The nodes, attributes and bytes of a decoded stanza: what it costs to keep.
pub(crate) fn weight(node: &Node) -> usize {
    let attributes = node
        .attrs
        .iter()
        .map(|(key, value)| 1 + key.len() + value.as_str().len());
    let content = match &node.content {
        Some(NodeContent::Nodes(nodes)) => nodes.iter().map(weight).sum(),
        Some(NodeContent::Bytes(bytes)) => bytes.len(),
        Some(NodeContent::String(text)) => text.len(),
        None => 0,
    };
    1 + node.tag.len() + attributes.sum::<usize>() + content
}
