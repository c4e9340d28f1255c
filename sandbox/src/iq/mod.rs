//! Questions that clients ask the server: one file a namespace.
//!
//! Every question gets an answer, be it that the network does not know it: a client that hears nothing waits out
//! its time-out, at start-up one after the other.

mod account;
mod app_state;
mod encrypt;
mod media;
mod pictures;
mod usync;

use wacore_binary::Node;

use crate::companions;
use crate::directory::{self, Address};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::store::Unit;
use crate::wire;

/// The answer to an iq.
pub(crate) struct Answer {
    pub(crate) node: Node,
    /// Whether the client is ready for its backlog from now on.
    pub(crate) activates: bool,
}

impl From<Node> for Answer {
    fn from(node: Node) -> Self {
        Self {
            node,
            activates: false,
        }
    }
}

/// Answers a linked device.
pub(crate) async fn answer(network: &Network, from: &Address, node: &Node) -> Result<Answer> {
    let (address, request) = (from.clone(), node.clone());
    let answered = match wire::attr(node, "xmlns").as_deref() {
        Some("w:p") => return Ok(wire::iq_result(node, Vec::new()).into()),
        Some("passive") => return Ok(passive(node)),
        Some("encrypt") => {
            network
                .store
                .run(move |unit| encrypt::answer(unit, &address, &request))
                .await
        }
        Some("usync") => {
            network
                .store
                .run(move |unit| usync::answer(unit, &address, &request))
                .await
        }
        Some("md") => {
            network
                .store
                .run(move |unit| devices(unit, &address, &request))
                .await
        }
        Some("w:sync:app:state") => Ok(app_state::answer(node)),
        Some("w:m") => media::answer(network, address, node).await,
        Some("w:profile:picture") => pictures::answer(network, address, node).await,
        Some("status" | "privacy" | "blocklist" | "abt" | "w:g2") => Ok(account::answer(node)),
        // Housekeeping that changes nothing here: dirty bits, push configuration, statistics, terms.
        Some(
            "urn:xmpp:whatsapp:dirty" | "urn:xmpp:whatsapp:push" | "w:stats" | "tos" | "disappearing_mode",
        ) => Ok(wire::iq_result(node, Vec::new())),
        _ => Ok(unknown(node)),
    };
    match answered {
        Ok(node) => Ok(node.into()),
        Err(Error::Invalid(_)) => Ok(wire::iq_error(node, 400, "bad-request").into()),
        Err(Error::NotFound(_)) => Ok(wire::iq_error(node, 404, "item-not-found").into()),
        Err(Error::Conflict(_)) => Ok(wire::iq_error(node, 409, "conflict").into()),
        Err(error) => Err(error),
    }
}

/// Answers a client that is not linked yet: it may ping.
pub(crate) fn answer_stranger(node: &Node) -> Answer {
    match wire::attr(node, "xmlns").as_deref() {
        Some("w:p" | "passive") => wire::iq_result(node, Vec::new()).into(),
        _ => wire::iq_error(node, 401, "not-authorized").into(),
    }
}

/// What the network does not know.
fn unknown(node: &Node) -> Node {
    wire::iq_error(node, 501, "feature-not-implemented")
}

fn passive(node: &Node) -> Answer {
    Answer {
        node: wire::iq_result(node, Vec::new()),
        activates: node.get_optional_child("active").is_some(),
    }
}

/// `md`: a companion unlinks itself (logs out), or another of its account.
fn devices(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<Node> {
    let Some(remove) = node.get_optional_child("remove-companion-device") else {
        return Ok(unknown(node));
    };
    let jid = wire::attr_jid(remove, "jid").ok_or_else(|| Error::Invalid("no device is named".into()))?;
    let account = directory::resolve(unit, &jid)?.filter(|account| account.phone == from.phone);
    let account =
        account.ok_or_else(|| Error::Invalid("only devices of the own account can be removed".into()))?;
    if jid.device == 0 {
        return Err(Error::Invalid("the phone is no companion".into()));
    }
    companions::unlink(unit, &Address::new(account.phone, jid.device))?;
    Ok(wire::iq_result(node, Vec::new()))
}
