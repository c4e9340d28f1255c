//! Stanzas of a script's own, such as no phone makes: for what a client does with odd, old or repeated ones.

use std::collections::BTreeMap;

use serde::Deserialize;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::Phone;
use crate::directory::{self, Address};
use crate::error::{Error, Result};
use crate::store::queue::{self, Kind, Stanza};

/// How deep a stanza's nodes may be in each other, and how many nodes it may have.
const MAX_DEPTH: usize = 8;
const MAX_NODES: usize = 10_000;

/// A stanza that the server sends. An attribute that is a JID is sent as one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StanzaRequest {
    /// Such as `notification`.
    pub tag: String,
    /// Its attributes.
    #[serde(default)]
    pub attrs: BTreeMap<String, String>,
    /// The nodes in it.
    #[serde(default)]
    pub children: Vec<StanzaRequest>,
    /// Or its text, which is sent as bytes.
    pub text: Option<String>,
}

impl StanzaRequest {
    fn node(&self, depth: usize, left: &mut usize) -> Result<Node> {
        let is_token = |text: &str| (1..=128).contains(&text.len()) && text.is_ascii();
        if !is_token(&self.tag) || !self.attrs.keys().all(|name| is_token(name)) {
            return Err(Error::Invalid(
                "`tag` and the names in `attrs` have 1 to 128 characters of ASCII".into(),
            ));
        }
        *left = left.checked_sub(1).filter(|_| depth < MAX_DEPTH).ok_or_else(|| {
            Error::Invalid(format!("a stanza has up to {MAX_NODES} nodes, {MAX_DEPTH} deep"))
        })?;
        if self.text.is_some() && !self.children.is_empty() {
            return Err(Error::Invalid(
                "a node has `children` or a `text`, not both".into(),
            ));
        }
        let mut node = NodeBuilder::new_dynamic(self.tag.clone());
        if let Some(text) = &self.text {
            node = node.bytes(text.as_bytes().to_vec());
        } else if !self.children.is_empty() {
            let children = self.children.iter().map(|child| child.node(depth + 1, left));
            node = node.children(children.collect::<Result<Vec<_>>>()?);
        }
        let mut node = node.build();
        for (name, value) in &self.attrs {
            // A text with an `@` that is no JID stays a text.
            match value.parse::<Jid>().ok().filter(|_| value.contains('@')) {
                Some(jid) => node.attrs.insert(name.clone(), jid),
                None => node.attrs.insert(name.clone(), value.as_str()),
            }
        }
        Ok(node)
    }
}

impl Phone {
    /// The server sends the phone's companions this stanza as it is. A `notification` or `call` that has an `id` waits for
    /// those that are not connected, until it is acknowledged; any other is of the moment.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no stanza.
    pub async fn send_stanza(&self, stanza: StanzaRequest) -> Result<()> {
        self.work(move |unit, account| {
            let mut left = MAX_NODES;
            let node = stanza.node(0, &mut left)?;
            let kind = match stanza.tag.as_str() {
                "notification" => Some(Kind::Notification),
                "call" => Some(Kind::Call),
                _ => None,
            };
            let id = stanza.attrs.get("id");
            let sender = Address::primary(&account.phone);
            for device in directory::devices(unit, &account.phone)? {
                let to = Address::new(&account.phone, device);
                match (kind, id) {
                    _ if device == 0 => {}
                    (Some(kind), Some(id)) => {
                        let stanza = Stanza {
                            kind,
                            id,
                            subtype: stanza.attrs.get("type").map_or("", String::as_str),
                            sender: &sender,
                            node: &node,
                        };
                        queue::push(unit, &to, &stanza)?;
                    }
                    _ => unit.pass(to, &node)?,
                }
            }
            Ok(())
        })
        .await
    }
}
