//! Small readers and builders for stanzas, so that handlers read like the protocol.

#[cfg(test)]
pub(crate) mod corpus;
mod guard;
#[cfg(test)]
pub(crate) mod memory;
mod verbatim;

use std::borrow::Cow;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::marshal::unmarshal_ref;
use wacore_binary::zlib_pool::decompress_zlib_pooled;
use wacore_binary::{Jid, Node, NodeContent, marshal, token};

use crate::error::{Error, Result};

/// The server's own address.
pub(crate) const SERVER: &str = "s.whatsapp.net";

/// The most that a compressed stanza may unpack to.
const MAX_UNPACKED: u64 = 4 * 1024 * 1024;

/// The flag of a compressed stanza, in the first byte.
const COMPRESSED: u8 = 2;

/// Decodes a frame's plaintext: flag byte, perhaps compression, then one node.
///
/// # Errors
/// [`Error::Codec`], whose words say nothing of what the stanza holds.
pub(crate) fn decode(plaintext: &[u8]) -> Result<Node> {
    let (flags, packed) = plaintext
        .split_first()
        .ok_or_else(|| Error::codec("a frame", "it is empty"))?;
    let bytes = if flags & COMPRESSED == 0 {
        Cow::Borrowed(packed)
    } else {
        let unpacked = decompress_zlib_pooled(packed, MAX_UNPACKED);
        Cow::Owned(unpacked.map_err(|_| Error::codec("a frame", "it does not unpack, or to too much"))?)
    };
    guard::check(&bytes).map_err(|hostile| Error::codec("a stanza", hostile))?;
    let node =
        unmarshal_ref(&bytes).map_err(|_| Error::codec("a stanza", "it holds what no stanza holds"))?;
    Ok(node.to_owned())
}

/// The tag of an encoded stanza, flag byte included; empty where it cannot be told at a glance.
pub(crate) fn tag(payload: &[u8]) -> &str {
    let ([_, token::LIST_8, _, name @ ..] | [_, token::LIST_16, _, _, name @ ..]) = payload else {
        return "";
    };
    match name {
        [token::BINARY_8, length, text @ ..] => text
            .get(..usize::from(*length))
            .and_then(|text| std::str::from_utf8(text).ok()),
        [dictionary @ token::DICTIONARY_0..=token::DICTIONARY_3, index, ..] => {
            token::get_double_token(dictionary - token::DICTIONARY_0, *index)
        }
        [single, ..] => token::get_single_token(*single),
        [] => None,
    }
    .unwrap_or_default()
}

/// Encodes a node for the wire, flag byte included.
pub(crate) fn encode(node: &Node) -> Result<Vec<u8>> {
    verbatim::encode(node)
}

/// An attribute as text.
pub(crate) fn attr<'a>(node: &'a Node, key: &str) -> Option<Cow<'a, str>> {
    node.attrs.get(key).map(wacore_binary::NodeValue::as_str)
}

/// An attribute as a JID; `None` where it is missing or no JID.
pub(crate) fn attr_jid(node: &Node, key: &str) -> Option<Jid> {
    node.attrs.get(key).and_then(wacore_binary::NodeValue::to_jid)
}

/// A node's bytes. Text content counts: encoders write short ASCII either way.
pub(crate) fn bytes(node: &Node) -> Option<Cow<'_, [u8]>> {
    match node.content.as_ref()? {
        NodeContent::Bytes(bytes) => Some(Cow::Borrowed(bytes.as_slice())),
        NodeContent::String(text) => Some(Cow::Borrowed(text.as_bytes())),
        NodeContent::Nodes(_) => None,
    }
}

/// The bytes of a child.
pub(crate) fn child_bytes<'a>(node: &'a Node, tag: &str) -> Option<Cow<'a, [u8]>> {
    node.get_optional_child(tag).and_then(bytes)
}

/// A big-endian number of one to four bytes in a child.
pub(crate) fn child_uint(node: &Node, tag: &str) -> Option<u32> {
    let bytes = child_bytes(node, tag)?;
    (1..=4)
        .contains(&bytes.len())
        .then(|| bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

/// A 32-byte key in a child.
pub(crate) fn child_key(node: &Node, tag: &str) -> Option<[u8; 32]> {
    child_bytes(node, tag)?.as_ref().try_into().ok()
}

/// The children of a node, none if it has no nodes.
pub(crate) fn children(node: &Node) -> &[Node] {
    node.children().unwrap_or_default()
}

/// The result of an iq, with `children`.
pub(crate) fn iq_result(request: &Node, children: Vec<Node>) -> Node {
    let mut builder = iq_answer(request, "result");
    if !children.is_empty() {
        builder = builder.children(children);
    }
    builder.build()
}

/// The refusal of an iq: `code` as in HTTP.
pub(crate) fn iq_error(request: &Node, code: u16, text: &'static str) -> Node {
    let error = NodeBuilder::new("error")
        .attr("code", code)
        .attr("text", text)
        .build();
    iq_answer(request, "error").children([error]).build()
}

fn iq_answer(request: &Node, kind: &'static str) -> NodeBuilder {
    let from = attr(request, "to")
        .filter(|to| !to.is_empty())
        .map_or(SERVER.into(), Cow::into_owned);
    NodeBuilder::new("iq")
        .attr("id", attr(request, "id").unwrap_or_default().as_ref())
        .attr("type", kind)
        .attr("from", from)
}

/// A prekey id on the wire: three bytes, big-endian.
pub(crate) fn key_id(id: u32) -> Vec<u8> {
    id.to_be_bytes()[1..].to_vec()
}

/// `<tag>bytes</tag>`
pub(crate) fn bytes_node(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(plaintext in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode(&plaintext);
        }

        #[test]
        fn damaged_stanzas_are_refused_or_stay_small(
            which: prop::sample::Index,
            damage in corpus::damage(),
        ) {
            let mut frame = which.get(&corpus::frames()).clone();
            for blow in &damage {
                blow.apply(&mut frame);
            }
            if let Ok(node) = decode(&frame) {
                // No token stands for more than some sixty characters.
                prop_assert!(corpus::weight(&node) <= 64 * frame.len());
                // A damaged text may look like a JID, which the library writes in a form that it refuses to read.
                if let Ok(again) = decode(&encode(&node).unwrap()) {
                    prop_assert_eq!(corpus::weight(&again), corpus::weight(&node));
                }
            }
        }

        #[test]
        fn tags_of_damaged_stanzas_can_be_asked_for(which: prop::sample::Index, damage in corpus::damage()) {
            let mut frame = which.get(&corpus::frames()).clone();
            for blow in &damage {
                blow.apply(&mut frame);
            }
            if let Ok(node) = decode(&frame) && !tag(&frame).is_empty() {
                prop_assert_eq!(tag(&frame), node.tag.as_ref());
            }
        }
    }

    #[test]
    fn the_corpus_decodes() {
        for (stanza, frame) in corpus::stanzas().iter().zip(corpus::frames()) {
            assert_eq!(corpus::weight(&decode(&frame).unwrap()), corpus::weight(stanza));
        }
    }

    #[test]
    fn tags_are_told_at_a_glance() {
        for tag in [
            "message",
            "receipt",
            "ack",
            "iq",
            "ib",
            "success",
            "failure",
            "stream:error",
            "xyz",
        ] {
            let encoded = encode(&NodeBuilder::new(tag).attr("id", "1").build()).unwrap();
            assert_eq!(super::tag(&encoded), tag);
        }
        for short in [&[][..], &[0], &[0, 248, 2], &[0, 248, 2, 252, 9, 1]] {
            assert_eq!(tag(short), "");
        }
    }

    pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let big = NodeBuilder::new("message").bytes(vec![0; 8 << 20]).build();
        let mut bomb = vec![COMPRESSED];
        bomb.extend(deflated(&encode(&big).unwrap()[1..]));
        assert!(bomb.len() < 64 * 1024, "{} bytes", bomb.len());
        assert!(decode(&bomb).is_err());
        let small = NodeBuilder::new("message").bytes(vec![0; 1 << 20]).build();
        let mut packed = vec![COMPRESSED];
        packed.extend(deflated(&encode(&small).unwrap()[1..]));
        assert_eq!(decode(&packed).unwrap(), small);
    }

    #[test]
    fn stanzas_round_trip() {
        let node = NodeBuilder::new("iq")
            .attr("id", "1")
            .children([bytes_node("x", vec![1, 2])])
            .build();
        let back = decode(&encode(&node).unwrap()).unwrap();
        assert_eq!(child_uint(&back, "x"), Some(0x0102));
        let error = iq_error(&back, 404, "item-not-found");
        assert_eq!(attr(&error, "from").as_deref(), Some(SERVER));
    }
}
