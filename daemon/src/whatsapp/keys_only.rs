//! Stanzas that bring a sender's key for a group and nothing else.
//!
//! The library keeps the key, acknowledges the stanza and commits nothing. If the acknowledgement is lost, the stanza
//! comes again, as a duplicate without a known commit. A lost message looks the same. But here nothing is lost: the
//! ratchet that marks the stanza as a duplicate was made durable together with the key. So the stanza is only
//! acknowledged.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use wacore_binary::{Jid, JidExt as _, NodeRef, Server};

/// How many such stanzas are remembered. Each is asked about right after it came.
const REMEMBERED: usize = 256;

/// The last such stanzas of a session, by chat and WhatsApp id.
#[derive(Debug, Default)]
pub struct KeysOnly(Mutex<VecDeque<(String, String)>>);

impl KeysOnly {
    /// Notes a stanza if it is one.
    pub fn note(&self, stanza: &NodeRef<'_>) {
        let Some(named) = read(stanza) else { return };
        let mut stanzas = self.stanzas();
        if stanzas.contains(&named) {
            return;
        }
        if stanzas.len() == REMEMBERED {
            stanzas.pop_front();
        }
        stanzas.push_back(named);
    }

    /// Whether the message with this id in this chat is one.
    pub fn has(&self, chat: &str, id: &str) -> bool {
        self.stanzas()
            .iter()
            .any(|(in_chat, with_id)| in_chat == chat && with_id == id)
    }

    fn stanzas(&self) -> MutexGuard<'_, VecDeque<(String, String)>> {
        self.0.lock().expect("no holder panics")
    }
}

/// Chat and id of a stanza that brings only a key. In a group the content is encrypted once for all (`skmsg`), and
/// the key for each device (`pkmsg`, `msg`). Content that is encrypted again for one device looks like a key, but has
/// a `count`.
fn read(stanza: &NodeRef<'_>) -> Option<(String, String)> {
    if stanza.tag.as_ref() != "message" {
        return None;
    }
    let mut attributes = stanza.attrs();
    let chat: Jid = attributes.optional_jid("from")?;
    let id = attributes.optional_string("id")?.into_owned();
    let is_room = chat.is_group() || chat.server == Server::Broadcast;
    let mut parts = stanza
        .children()?
        .iter()
        .filter(|child| child.tag.as_ref() == "enc")
        .peekable();
    parts.peek()?;
    let are_keys = parts.all(|part| {
        let mut attributes = part.attrs();
        let kind = attributes.optional_string("type");
        let is_for_one = kind.is_some_and(|kind| matches!(kind.as_ref(), "pkmsg" | "msg"));
        is_for_one && attributes.optional_string("count").is_none()
    });
    (is_room && are_keys).then(|| (chat.to_string(), id))
}

#[cfg(test)]
mod tests {
    use wacore_binary::builder::NodeBuilder;

    use super::*;

    const GROUP: &str = "120363021033254949@g.us";

    fn is_noted(from: &str, parts: &[(&'static str, bool)]) -> bool {
        let parts = parts.iter().map(|(kind, again)| {
            let part = NodeBuilder::new("enc").attr("v", "2").attr("type", *kind);
            if *again { part.attr("count", "1") } else { part }.build()
        });
        let stanza = NodeBuilder::new("message")
            .attr("from", from.parse::<Jid>().expect("a JID"))
            .attr(
                "participant",
                "100000000000001@lid".parse::<Jid>().expect("a JID"),
            )
            .attr("id", "3AFF01")
            .children(parts.collect::<Vec<_>>())
            .build();
        let keys_only = KeysOnly::default();
        keys_only.note(&stanza.as_node_ref());
        keys_only.has(from, "3AFF01")
    }

    #[test]
    fn only_keys_for_a_group_are_noted() {
        assert!(is_noted(GROUP, &[("pkmsg", false)]));
        assert!(is_noted(GROUP, &[("msg", false)]));
        assert!(!is_noted(GROUP, &[("pkmsg", false), ("skmsg", false)]));
        assert!(!is_noted(GROUP, &[("skmsg", false)]));
        assert!(
            !is_noted(GROUP, &[("pkmsg", true)]),
            "content for a device that asked"
        );
        assert!(
            !is_noted("100000000000001@lid", &[("pkmsg", false)]),
            "content for a person"
        );
        assert!(!is_noted(GROUP, &[]));
    }
}
