//! Linking by QR code. A code holds a reference of the server's, the client's keys and a secret that the client made.
//!
//! A client shows one reference after the other. Some time after the last has run out, the server ends the stream. A
//! client that still wants to be linked connects again and gets new ones.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand::RngExt as _;
use tokio::time::Instant;
use tracing::debug;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{Claim, Linked, SIGN_TIMEOUT};
use crate::config::PairingTimes;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::server::refusals::{self, StreamEnd};
use crate::server::registry::{Pairing, Reference};
use crate::store::Unit;
use crate::wire;

/// References in a set; a client shows one after the other.
const REFS: u32 = 6;

/// How much longer than its time a reference works: its client got it a little later than the server sent it.
const REF_GRACE: Duration = Duration::from_secs(3);

/// What a QR code says.
#[derive(Debug, PartialEq, Eq)]
struct QrCode {
    reference: String,
    noise_key: [u8; 32],
    identity: [u8; 32],
    adv_secret: [u8; 32],
}

/// Gives a client references to show, until it is paired or gone, or they have run out.
pub(crate) async fn offer(network: Arc<Network>, pairing: Pairing) {
    let client = Arc::clone(&pairing.client);
    tokio::select! {
        () = client.close.cancelled() => {}
        () = pace(&network, &pairing) => {}
        () = super::code::keep_time(&network, &client) => {}
    }
    network.registry.withdraw(&client);
}

async fn pace(network: &Network, pairing: &Pairing) {
    let client = &pairing.client;
    let begun = Instant::now();
    let times = network.config.pairing;
    let refs: Vec<Reference> = (0..REFS)
        .map(|n| Reference {
            text: reference(),
            expires: begun + shown_until(times, n) + REF_GRACE.min(times.next_ref / 2),
        })
        .collect();
    network.registry.offer_refs(pairing, &refs);
    let nodes = refs
        .iter()
        .map(|reference| wire::bytes_node("ref", reference.text.as_bytes()));
    let offer = NodeBuilder::new("pair-device").children(nodes).build();
    if client.request(offer, SIGN_TIMEOUT).await.is_err() {
        return;
    }
    let mut end = begun + shown_until(times, REFS - 1) + times.linger;
    loop {
        tokio::time::sleep_until(end).await;
        // A code that its person may be typing is not taken away, nor is a passkey that is looked for.
        let code = network.registry.codes.deadline(client);
        match code.max(network.registry.passkeys.deadline(client)) {
            Some(deadline) if deadline > end => end = deadline,
            _ => break,
        }
    }
    debug!(client = client.id, "the QR references have run out");
    refusals::end(client, StreamEnd::Closed);
}

/// When the client takes the `n`th reference off, counted from its first.
fn shown_until(times: PairingTimes, n: u32) -> Duration {
    times.first_ref + times.next_ref * n
}

/// The notification that makes a client replace the secret in its QR code. The reference stays.
pub(crate) fn rotation() -> Node {
    NodeBuilder::new("notification")
        .attr("from", wire::SERVER)
        .attr("id", hex::encode_upper(rand::rng().random::<[u8; 8]>()))
        .attr("type", "companion_reg_refresh")
        .children([NodeBuilder::new("pair-device-rotate-qr").build()])
        .build()
}

/// A phone scans `qr`: the named one, made if need be, or that of the client's push name, or the next free one.
///
/// # Errors
/// [`Error::Invalid`] for a text that is no QR code, [`Error::NotFound`] where no connected client shows it,
/// [`Error::Conflict`] where the phone cannot link it, or the client refuses or goes away.
pub(crate) async fn scan(network: &Network, qr: &str, phone: Option<String>) -> Result<Linked> {
    let code = parse(qr)?;
    let not_shown =
        || Error::NotFound("no connected client shows this QR code: it has expired, or was used".into());
    let (pairing, refs) = network
        .registry
        .take_pairing(&code.reference)
        .ok_or_else(not_shown)?;
    let linked = link(network, &pairing, &code, phone).await;
    // A phone that cannot scan leaves the code to others.
    if linked.is_err() && !pairing.client.close.is_cancelled() {
        network.registry.offer_refs(&pairing, &refs);
    }
    linked
}

async fn link(network: &Network, pairing: &Pairing, code: &QrCode, phone: Option<String>) -> Result<Linked> {
    let _claim = Claim::of(pairing)?;
    if (pairing.noise_key, pairing.registration.identity) != (code.noise_key, code.identity) {
        return Err(Error::Invalid(
            "the QR code's keys are not those of the client that shows it".into(),
        ));
    }
    let shown = pairing.clone();
    let choose = move |unit: &mut Unit<'_>| super::chosen(unit, phone, &shown);
    let chosen = network.store.run(choose).await?;
    let prepared = super::signed(network, pairing, chosen, code.adv_secret).await?;
    super::finish(network, pairing, prepared).await
}

/// Reads `ref,noise,identity,secret[,…]`, keys in base64; anything up to a `#` is a link around it.
fn parse(qr: &str) -> Result<QrCode> {
    let invalid = || Error::Invalid("the body is not the text of a WhatsApp QR code".into());
    let body = qr.trim();
    let body = body.rsplit_once('#').map_or(body, |(_, body)| body);
    let mut parts = body.split(',');
    let reference = parts
        .next()
        .filter(|reference| !reference.is_empty())
        .ok_or_else(invalid)?
        .to_owned();
    let mut key = || -> Result<[u8; 32]> {
        let bytes = BASE64_STANDARD
            .decode(parts.next().ok_or_else(invalid)?)
            .map_err(|_| invalid())?;
        bytes.try_into().map_err(|_| invalid())
    };
    Ok(QrCode {
        reference,
        noise_key: key()?,
        identity: key()?,
        adv_secret: key()?,
    })
}

fn reference() -> String {
    format!(
        "2@{}",
        BASE64_STANDARD
            .encode(rand::rng().random::<[u8; 32]>())
            .replace(['+', '/', '='], "x")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qr_codes_of_all_shapes() {
        let key = BASE64_STANDARD.encode([7; 32]);
        let plain = format!("2@abc,{key},{key},{key}");
        let expected = parse(&plain).unwrap();
        assert_eq!(expected.adv_secret, [7; 32]);
        for shape in [
            format!("{plain},1\n"),
            format!("https://wa.me/settings/linked_devices#{plain},1"),
        ] {
            assert_eq!(parse(&shape).unwrap(), expected);
        }
        for bad in ["", "2@abc", "2@abc,AA,AA,AA", &format!(",{key},{key},{key}")] {
            assert!(matches!(parse(bad), Err(Error::Invalid(_))), "{bad}");
        }
    }
}
