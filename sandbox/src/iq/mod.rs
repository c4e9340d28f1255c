//! Questions that clients ask the server: one file a namespace.
//!
//! Every question gets an answer, even one that the network does not know. A client that hears nothing waits out its
//! time-out, and at start-up it asks one question after the other.

mod account;
mod app_state;
mod blocklist;
mod devices;
mod encrypt;
mod groups;
mod media;
mod mex;
mod pictures;
mod privacy;
mod profile;
mod props;
mod usync;

use std::sync::Arc;

use tracing::debug;
use wacore_binary::Node;

use crate::directory::Address;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::server::registry::Pairing;
use crate::store::Unit;
use crate::{dirty, pairing, wire};

/// The answer to an iq.
pub(crate) struct Answer {
    pub(crate) node: Node,
    /// What follows for the connection once it is answered.
    pub(crate) then: Then,
}

/// What an answer does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It goes on.
    Nothing,
    /// The client is ready for what waits for it.
    Activate,
    /// It wants nothing brought for the time being.
    Pause,
    /// It has unlinked itself.
    Leave,
}

impl From<Node> for Answer {
    fn from(node: Node) -> Self {
        Self {
            node,
            then: Then::Nothing,
        }
    }
}

/// Answers a linked device.
pub(crate) async fn answer(network: &Arc<Network>, from: &Address, node: &Node) -> Result<Answer> {
    let (address, request) = (from.clone(), node.clone());
    let answered = match wire::attr(node, "xmlns").as_deref() {
        Some("w:p") => return Ok(wire::iq_result(node, Vec::new()).into()),
        Some("passive") => return Ok(passive(node)),
        Some("md") if node.get_optional_child("remove-companion-device").is_some() => {
            let unlinked = network
                .store
                .run(move |unit| devices::remove(unit, &address, &request))
                .await;
            return match unlinked {
                Ok(leaves) => Ok(Answer {
                    node: wire::iq_result(node, Vec::new()),
                    then: if leaves { Then::Leave } else { Then::Nothing },
                }),
                Err(error) => refused(node, error).map(Answer::from),
            };
        }
        Some("encrypt") => {
            let asked = Arc::clone(network);
            network
                .store
                .run(move |unit| encrypt::answer(unit, &asked.faults, &address, &request))
                .await
        }
        Some("usync") => {
            let asked = Arc::clone(network);
            network
                .store
                .run(move |unit| usync::answer(unit, &asked.faults, &address, &request))
                .await
        }
        Some("abt" | "w") => {
            network
                .store
                .run(move |unit| props::answer(unit, &address, &request))
                .await
        }
        Some("urn:xmpp:whatsapp:dirty") => {
            network
                .store
                .run(move |unit| dirty::clean(unit, &address, &request))
                .await
        }
        Some("w:g2") => match node.get_optional_child("pictures") {
            Some(asked) => pictures::look_at_groups(network, node, asked).await,
            None => {
                network
                    .store
                    .run(move |unit| groups::answer(unit, &address, &request))
                    .await
            }
        },
        Some("w:sync:app:state") => app_state::answer(network, address, node).await,
        Some("w:m") => media::answer(network, address, node).await,
        Some("w:profile:picture") => pictures::answer(network, address, node).await,
        Some("status" | "privacy" | "blocklist" | "disappearing_mode" | "w:biz" | "w:mex") => {
            network
                .store
                .run(move |unit| people(unit, &address, &request))
                .await
        }
        Some("bot" | "tos") => Ok(account::answer(node)),
        // Housekeeping that changes nothing here: push configuration, account, statistics.
        Some("urn:xmpp:whatsapp:push" | "urn:xmpp:whatsapp:account" | "w:stats") => {
            Ok(wire::iq_result(node, Vec::new()))
        }
        _ => Ok(unknown(node)),
    };
    match answered {
        Ok(node) => Ok(node.into()),
        Err(error) => refused(node, error).map(Answer::from),
    }
}

/// A refusal, for an error about which the client can do something; other errors end the connection.
fn refused(node: &Node, error: Error) -> Result<Node> {
    match error {
        Error::Refused { code, condition, .. } => Ok(wire::iq_error(node, code, condition)),
        Error::Invalid(_) => Ok(wire::iq_error(node, 400, "bad-request")),
        Error::NotFound(_) => Ok(wire::iq_error(node, 404, "item-not-found")),
        Error::Conflict(_) => Ok(wire::iq_error(node, 409, "conflict")),
        error => Err(error),
    }
}

/// Answers a client that is not linked yet: it may ping, ask to be linked by a code, and be linked with a passkey.
pub(crate) fn answer_stranger(network: &Network, pairing: &Pairing, node: &Node) -> Answer {
    let answer = match wire::attr(node, "xmlns").as_deref() {
        Some("w:p" | "passive") => wire::iq_result(node, Vec::new()),
        Some("md") => pairing::passkey::answer(network, pairing, node)
            .unwrap_or_else(|| pairing::code::answer(network, pairing, node))
            .or_else(|error| refused(node, error))
            .unwrap_or_else(|_| wire::iq_error(node, 400, "bad-request")),
        _ => wire::iq_error(node, 401, "not-authorized"),
    };
    answer.into()
}

/// Answers a client whose login was refused.
pub(crate) fn answer_refused(node: &Node) -> Answer {
    wire::iq_error(node, 401, "not-authorized").into()
}

/// What the network does not know.
fn unknown(node: &Node) -> Node {
    let namespace = wire::attr(node, "xmlns").unwrap_or_default();
    let child = wire::children(node).first().map(|child| child.tag.as_ref());
    debug!(%namespace, child, "a question that the network does not know");
    wire::iq_error(node, 501, "feature-not-implemented")
}

fn passive(node: &Node) -> Answer {
    let then = if node.get_optional_child("active").is_some() {
        Then::Activate
    } else if node.get_optional_child("passive").is_some() {
        Then::Pause
    } else {
        Then::Nothing
    };
    Answer {
        node: wire::iq_result(node, Vec::new()),
        then,
    }
}

/// What people say of themselves and whom they let see and reach them.
fn people(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    match wire::attr(node, "xmlns").as_deref() {
        Some("status") => profile::status(unit, from, node),
        Some("privacy") => privacy::answer(unit, from, node),
        Some("blocklist") => blocklist::answer(unit, from, node),
        Some("disappearing_mode") => profile::disappearing_mode(unit, from, node),
        Some("w:biz") => profile::business(unit, node),
        Some("w:mex") => mex::answer(unit, from, node),
        _ => Ok(unknown(node)),
    }
}
