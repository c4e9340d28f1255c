//! Checks an encoded stanza before it is decoded.
//!
//! The decoder trusts what a stanza says of itself. It makes room for as many children and attributes as are
//! announced, and follows a JID within a JID until the stack is used up, which ends the process. This walk over the
//! same bytes makes no room for anything, and goes no deeper than any client does.

use wacore_binary::token;

/// How deep nodes may lie in each other. Real stanzas stay below ten.
const MAX_DEPTH: usize = 32;

/// Attributes of one node. Real ones have fewer than thirty.
const MAX_ATTRIBUTES: usize = 100;

/// Nodes and attributes of one stanza. A message to a thousand people with ten devices each has sixty thousand.
const MAX_ITEMS: usize = 100_000;

/// Why a stanza is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Hostile {
    #[error("it ends too soon")]
    Short,
    #[error("it says more than it holds")]
    Boast,
    #[error("nodes lie more than {MAX_DEPTH} deep in each other")]
    Deep,
    #[error("a JID lies in a JID")]
    NestedJid,
    #[error("a node has more than {MAX_ATTRIBUTES} attributes")]
    Attributes,
    #[error("it has more than {MAX_ITEMS} nodes and attributes")]
    Items,
    #[error("it is not a node")]
    Grammar,
    #[error("something follows its end")]
    Leftover,
}

type Walked<T = ()> = Result<T, Hostile>;

/// Checks one encoded node, without the flag byte.
pub(super) fn check(bytes: &[u8]) -> Walked {
    let mut walk = Walk {
        rest: bytes,
        items: 0,
    };
    walk.node(0)?;
    if walk.rest.is_empty() {
        Ok(())
    } else {
        Err(Hostile::Leftover)
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    items: usize,
}

impl Walk<'_> {
    fn node(&mut self, depth: usize) -> Walked {
        if depth >= MAX_DEPTH {
            return Err(Hostile::Deep);
        }
        let tag = self.byte()?;
        let parts = self.list(tag)?;
        if parts == 0 {
            return Err(Hostile::Grammar);
        }
        self.text()?;
        let attributes = (parts - 1) / 2;
        if attributes > MAX_ATTRIBUTES {
            return Err(Hostile::Attributes);
        }
        self.claim(attributes, 2)?;
        for _ in 0..attributes {
            self.text()?;
            self.value()?;
        }
        if parts % 2 == 0 {
            self.content(depth)?;
        }
        Ok(())
    }

    fn content(&mut self, depth: usize) -> Walked {
        match self.byte()? {
            tag @ (token::LIST_8 | token::LIST_16) => {
                let nodes = self.list(tag)?;
                self.claim(nodes, 3)?;
                (0..nodes).try_for_each(|_| self.node(depth + 1))
            }
            tag => self.value_of(tag),
        }
    }

    /// Notes that `count` items of at least `size` bytes each are announced.
    fn claim(&mut self, count: usize, size: usize) -> Walked {
        if count * size > self.rest.len() {
            return Err(Hostile::Boast);
        }
        self.items += count;
        if self.items > MAX_ITEMS {
            return Err(Hostile::Items);
        }
        Ok(())
    }

    /// A string or a JID.
    fn value(&mut self) -> Walked {
        let tag = self.byte()?;
        self.value_of(tag)
    }

    fn value_of(&mut self, tag: u8) -> Walked {
        match tag {
            token::JID_PAIR => self.text().and_then(|()| self.text()),
            token::AD_JID => self.skip(2).and_then(|()| self.text()),
            token::FB_JID => {
                self.text()?;
                self.skip(2)?;
                self.text()
            }
            token::INTEROP_JID => {
                self.text()?;
                self.skip(4)?;
                self.text()
            }
            tag => self.text_of(tag),
        }
    }

    /// A string.
    fn text(&mut self) -> Walked {
        let tag = self.byte()?;
        self.text_of(tag)
    }

    fn text_of(&mut self, tag: u8) -> Walked {
        let length = match tag {
            token::JID_PAIR | token::AD_JID | token::FB_JID | token::INTEROP_JID => {
                return Err(Hostile::NestedJid);
            }
            token::LIST_8 | token::LIST_16 => return Err(Hostile::Grammar),
            token::BINARY_8 => self.number(1)?,
            token::BINARY_20 => self.number(3)? & 0x000f_ffff,
            token::BINARY_32 => self.number(4)?,
            token::NIBBLE_8 | token::HEX_8 => usize::from(self.byte()? & 0x7f),
            token::DICTIONARY_0..=token::DICTIONARY_3 => 1,
            _ => 0,
        };
        self.skip(length)
    }

    fn list(&mut self, tag: u8) -> Walked<usize> {
        match tag {
            token::LIST_EMPTY => Ok(0),
            token::LIST_8 => self.number(1),
            token::LIST_16 => self.number(2),
            _ => Err(Hostile::Grammar),
        }
    }

    fn byte(&mut self) -> Walked<u8> {
        let (byte, rest) = self.rest.split_first().ok_or(Hostile::Short)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn number(&mut self, bytes: usize) -> Walked<usize> {
        (0..bytes).try_fold(0, |value, _| Ok(value << 8 | usize::from(self.byte()?)))
    }

    fn skip(&mut self, bytes: usize) -> Walked {
        self.rest = self.rest.get(bytes..).ok_or(Hostile::Short)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wacore_binary::builder::NodeBuilder;
    use wacore_binary::{Jid, Node, marshal};

    use super::*;

    fn encoded(node: &Node) -> Vec<u8> {
        marshal(node).unwrap()[1..].to_vec()
    }

    #[test]
    fn every_kind_of_value_passes() {
        let mut builder = NodeBuilder::new("message");
        for (key, value) in [
            ("a", "155501000001"),
            ("b", "3EB0ABCDEF"),
            ("c", "free text with ünicode"),
            ("d", "receipt"),
            ("e", ""),
        ] {
            builder = builder.attr(key, value);
        }
        for (key, jid) in [
            ("f", "155501000001@s.whatsapp.net"),
            ("g", "155501000001:3@s.whatsapp.net"),
            ("h", "99:7@lid"),
            ("i", "123-456@g.us"),
            ("j", "123:4@msgr"),
            ("k", "s.whatsapp.net"),
        ] {
            builder = builder.attr(key, jid.parse::<Jid>().unwrap());
        }
        let children = (0..300).map(|n| {
            let size = if n == 0 { 1 << 20 } else { n };
            NodeBuilder::new("enc").bytes(vec![7; size]).build()
        });
        let text = NodeBuilder::new("t").string_content("words").build();
        let node = builder.children(children.chain([text])).build();
        assert_eq!(check(&encoded(&node)), Ok(()));
    }

    #[test]
    fn what_would_hurt_is_refused() {
        let deep = (0..MAX_DEPTH).fold(NodeBuilder::new("x").build(), |node, _| {
            NodeBuilder::new("x").children([node]).build()
        });
        let wide = NodeBuilder::new("x")
            .children((0..60_000).map(|_| NodeBuilder::new("x").attr("id", "1").build()))
            .build();
        let mut flood = vec![token::LIST_8, 203, 5];
        flood.extend([5; 202]);
        let mut nested = vec![token::LIST_8, 3, 5, 5];
        nested.extend(std::iter::repeat_n(token::JID_PAIR, 100_000));
        for (bytes, reason) in [
            (encoded(&deep), Hostile::Deep),
            (encoded(&wide), Hostile::Items),
            (flood, Hostile::Attributes),
            (nested, Hostile::NestedJid),
            // 65,535 children announced, none there; and the same of attributes.
            (
                vec![token::LIST_8, 2, 5, token::LIST_16, 0xff, 0xff],
                Hostile::Boast,
            ),
            (vec![token::LIST_8, 199, 5, 5, 5], Hostile::Boast),
            (
                vec![token::LIST_8, 2, 5, token::BINARY_32, 0xff, 0xff, 0xff, 0xff],
                Hostile::Short,
            ),
            (vec![token::LIST_EMPTY], Hostile::Grammar),
            (vec![token::LIST_8, 1, 5, 5], Hostile::Leftover),
            (vec![], Hostile::Short),
        ] {
            assert_eq!(check(&bytes), Err(reason), "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }
}
