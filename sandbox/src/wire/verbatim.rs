//! Texts that are no JIDs and have an `@`. The library writes every short text with one as a JID, with whatever stands behind the
//! `@` as its server; and it refuses to read a JID of a server that it does not know. So such a text is written under another
//! one, which is exchanged for it in the bytes.

use std::borrow::Cow;

use wacore_binary::jid::Server;
use wacore_binary::{Node, NodeContent, NodeValue, token};

use super::marshal;
use crate::error::{Error, Result};

/// Encodes a node, flag byte included.
pub(super) fn encode(node: &Node) -> Result<Vec<u8>> {
    let mut texts = Vec::new();
    let node = if is_odd(node) {
        let mut node = node.clone();
        hide(&mut node, &mut texts);
        Cow::Owned(node)
    } else {
        Cow::Borrowed(node)
    };
    let mut bytes = marshal(&node).map_err(|error| Error::codec("an outgoing stanza", error))?;
    for (place, text) in texts.iter().enumerate() {
        let hidden = written(&stand_in(place));
        let at = bytes
            .windows(hidden.len())
            .position(|window| window == hidden)
            .ok_or_else(|| Error::codec("an outgoing stanza", "a text is not where it was put"))?;
        bytes.splice(at..at + hidden.len(), written(text));
    }
    Ok(bytes)
}

/// Whether a text would be written as a JID that nobody can read.
fn is_odd_text(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(_, server)| Server::parse_known(server).is_none())
}

fn is_odd(node: &Node) -> bool {
    let in_attrs = node
        .attrs
        .iter()
        .any(|(_, value)| matches!(value, NodeValue::String(text) if is_odd_text(text)));
    in_attrs
        || match &node.content {
            Some(NodeContent::String(text)) => is_odd_text(text),
            Some(NodeContent::Nodes(nodes)) => nodes.iter().any(is_odd),
            _ => false,
        }
}

/// Puts other texts in the place of odd ones, in the order in which they are written. Content can be written as bytes.
fn hide(node: &mut Node, texts: &mut Vec<String>) {
    for (_, value) in &mut node.attrs.0 {
        if let NodeValue::String(text) = value
            && is_odd_text(text)
        {
            let stand_in = stand_in(texts.len());
            texts.push(text.to_string());
            *text = stand_in.into();
        }
    }
    match &mut node.content {
        Some(NodeContent::String(text)) if is_odd_text(text) => {
            node.content = Some(NodeContent::Bytes(text.as_bytes().to_vec()));
        }
        Some(NodeContent::Nodes(nodes)) => {
            for node in nodes {
                hide(node, texts);
            }
        }
        _ => {}
    }
}

/// A text that no other is alike, and that is too long to be taken for anything but a text.
fn stand_in(place: usize) -> String {
    format!("This stands here for a text with an at sign in it: {place:08}\u{7F}")
}

/// A text as it is written when it is nothing else.
fn written(text: &str) -> Vec<u8> {
    let length = text.len();
    let mut bytes = if let Ok(length) = u8::try_from(length) {
        vec![token::BINARY_8, length]
    } else {
        // 20 bits; no attribute is longer.
        let [_, high, middle, low] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        vec![token::BINARY_20, high & 0x0F, middle, low]
    };
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use wacore_binary::Jid;
    use wacore_binary::builder::NodeBuilder;

    use super::super::{attr, attr_jid, bytes, decode};
    use super::*;

    #[test]
    fn a_text_with_an_at_sign_is_read_as_it_was_written() {
        let long = format!("{}@{}", "a".repeat(300), "b".repeat(300));
        for text in ["@", "a@b", "Ada @ work", "@@", "two@one, one@two", &*long] {
            let child = NodeBuilder::new("body").string_content(text).build();
            let node = NodeBuilder::new("group")
                .attr("id", "1@g.us".parse::<Jid>().expect("a JID"))
                .attr("subject", text)
                .attr("notify", text)
                .attr("size", 3)
                .children([child])
                .build();
            let read = decode(&encode(&node).expect("encoded")).expect("read");
            assert_eq!(attr(&read, "subject").as_deref(), Some(text));
            assert_eq!(attr(&read, "notify").as_deref(), Some(text));
            assert_eq!(attr(&read, "size").as_deref(), Some("3"));
            assert_eq!(
                attr_jid(&read, "id").map(|jid| jid.to_string()).as_deref(),
                Some("1@g.us")
            );
            let body = read.get_optional_child("body").expect("a body");
            assert_eq!(bytes(body).as_deref(), Some(text.as_bytes()));
        }
    }
}
