//! Linking a companion by its QR code.
//!
//! The client shows a reference of the server's, its own keys and a secret. A phone that scans them signs the
//! client's identity; the client checks and countersigns; the device is stored; then the server ends the stream
//! with 515 and the client comes back to log in.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buffa::Message as _;
use rand::RngExt as _;
use tracing::debug;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use crate::companions;
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::people::profile;
use crate::phone::{adv, identity};
use crate::server::registry::Pairing;
use crate::{config::Config, wire};

/// References in a set; a client shows one after the other.
const REFS: usize = 6;

/// How long a client may take to check the phone's signature.
const SIGN_TIMEOUT: Duration = Duration::from_secs(10);

/// What a QR code says.
#[derive(Debug, PartialEq, Eq)]
struct QrCode {
    reference: String,
    noise_key: [u8; 32],
    identity: [u8; 32],
    adv_secret: [u8; 32],
}

/// A companion just linked.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) account: Account,
    pub(crate) device: u16,
}

/// Gives a client references to show, and new ones when they have run out, until it is paired or gone.
pub(crate) async fn offer(network: Arc<Network>, pairing: Pairing) {
    let client = Arc::clone(&pairing.client);
    let Config { qr_refs_valid, .. } = network.config;
    loop {
        let refs: Vec<String> = (0..REFS).map(|_| reference()).collect();
        network.registry.offer_refs(&pairing, &refs);
        let nodes = refs
            .iter()
            .map(|reference| wire::bytes_node("ref", reference.as_bytes()));
        let offer = NodeBuilder::new("pair-device").children(nodes).build();
        tokio::select! {
            answer = client.request(offer, SIGN_TIMEOUT) => if answer.is_err() { break },
            () = client.close.cancelled() => break,
        }
        tokio::select! {
            () = tokio::time::sleep(qr_refs_valid) => debug!(client = client.id, "the QR references have run out"),
            () = client.close.cancelled() => break,
        }
    }
    network.registry.withdraw_refs(&client);
}

/// A phone scans `qr`: the named one, made if need be, or the next free one.
///
/// # Errors
/// [`Error::Invalid`] for a text that is no QR code, [`Error::NotFound`] where no connected client shows it,
/// [`Error::Conflict`] where the client refuses or goes away.
pub(crate) async fn scan(network: &Network, qr: &str, phone: Option<String>) -> Result<Linked> {
    let code = parse(qr)?;
    let not_shown =
        || Error::NotFound("no connected client shows this QR code: it has expired, or was used".into());
    let (pairing, refs) = network
        .registry
        .take_pairing(&code.reference)
        .ok_or_else(not_shown)?;
    let known = (pairing.noise_key, pairing.registration.identity) == (code.noise_key, code.identity);
    let prepared = if known {
        network.store.run(move |unit| prepare(unit, phone, &code)).await
    } else {
        Err(Error::Invalid(
            "the QR code's keys are not those of the client that shows it".into(),
        ))
    };
    // A phone that cannot scan leaves the code to others.
    let prepared = prepared.inspect_err(|_| network.registry.offer_refs(&pairing, &refs))?;
    let Prepared {
        account,
        device,
        signed,
        family,
    } = prepared;
    let success = pair_success(&account, device, signed, family);
    let answer = pairing.client.request(success, SIGN_TIMEOUT).await?;
    let countersigned = answer
        .get_optional_child("pair-device-sign")
        .and_then(|sign| wire::child_bytes(sign, "device-identity"))
        .ok_or_else(|| Error::Conflict("the client refused the phone's signature".into()))?
        .into_owned();
    let address = Address::new(&account.phone, device);
    let (noise_key, keys) = (pairing.noise_key, pairing.registration.clone());
    network
        .store
        .run(move |unit| companions::link(unit, &address, &noise_key, &keys, &countersigned))
        .await?;
    pairing
        .client
        .send_last(&NodeBuilder::new("stream:error").attr("code", "515").build())?;
    Ok(Linked { account, device })
}

struct Prepared {
    account: Account,
    device: u16,
    signed: Vec<u8>,
    family: Family,
}

fn prepare(unit: &crate::store::Unit<'_>, phone: Option<String>, code: &QrCode) -> Result<Prepared> {
    let account = match phone {
        None => identity::next_free(unit)?,
        Some(phone) => {
            directory::check_number(&phone)?;
            match directory::by_phone(unit, &phone)? {
                Some(account) => account,
                None => identity::create(unit, Some(phone), None)?,
            }
        }
    };
    if !account.online {
        return Err(Error::Conflict(
            "this phone is offline: it cannot link a device".into(),
        ));
    }
    let device = companions::next_device(unit, &account.phone)?;
    let signed = adv::device_identity(
        unit,
        &account.phone,
        &code.identity,
        &code.adv_secret,
        u32::from(device),
    )?;
    let family = profile::family(unit, &account.phone)?;
    Ok(Prepared {
        account,
        device,
        signed,
        family,
    })
}

fn pair_success(account: &Account, device: u16, signed: Vec<u8>, family: Family) -> Node {
    let props = wa::ClientPairingProps {
        is_chat_db_lid_migrated: Some(family == Family::Lid),
        ..Default::default()
    };
    let device = NodeBuilder::new("device")
        .attr("jid", account.jid(Family::Pn, device))
        .attr("lid", account.jid(Family::Lid, device))
        .build();
    NodeBuilder::new("pair-success")
        .children([
            wire::bytes_node("device-identity", signed),
            device,
            // The client takes its first push name from here.
            NodeBuilder::new("biz")
                .attr("name", account.name.as_str())
                .build(),
            NodeBuilder::new("platform").attr("name", "sandbox").build(),
            wire::bytes_node("client-props", props.encode_to_vec()),
        ])
        .build()
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
