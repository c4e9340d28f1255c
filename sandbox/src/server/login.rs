//! What a client's payload asks for: to log in as a device, or to become one.

use buffa::{Enumeration as _, Message as _};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;
use waproto::whatsapp::device_props::PlatformType;

use super::refusals::{self, Refusal};
use crate::companions::{self, Registration};
use crate::directory::{self, Address, Family};
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::{dirty, wire};

/// Registration data says in one byte that keys are Curve25519.
const DJB: [u8; 1] = [5];

/// The most characters of a device's own name that are kept.
const MAX_DEVICE_NAME: usize = 100;

/// Opaque to clients: they send it back.
const ROUTING_INFO: [u8; 4] = [8, 1, 8, 5];

/// What the payload is.
pub(crate) enum Intent {
    /// A linked device comes back.
    Login(Address),
    /// A new device wants to be linked, perhaps under a push name.
    Register(Registration, Option<String>),
}

/// What becomes of a login.
pub(crate) enum Verdict {
    /// The first stanzas of the session.
    Welcome(Vec<Node>),
    /// The `<failure>` that ends it.
    Refused(Node),
}

/// Reads the payload.
///
/// # Errors
/// [`Error::Invalid`] for one that is neither, or whose keys cannot be.
pub(crate) fn intent(payload: &wa::ClientPayload) -> Result<Intent> {
    if let Some(data) = payload.device_pairing_data.as_option() {
        let registration = registration(data)?;
        return Ok(Intent::Register(registration, payload.push_name.clone()));
    }
    let phone = payload
        .username
        .ok_or_else(|| Error::Invalid("a payload without user and registration".into()))?;
    let device = payload
        .device
        .and_then(|device| u16::try_from(device).ok())
        .unwrap_or_default();
    Ok(Intent::Login(Address::new(phone.to_string(), device)))
}

fn registration(data: &wa::client_payload::DevicePairingRegistrationData) -> Result<Registration> {
    let invalid = |what: &str| Error::Invalid(format!("a registration without a usable {what}"));
    let number = |bytes: Option<&[u8]>, what| {
        let bytes = bytes
            .filter(|bytes| (1..=4).contains(&bytes.len()))
            .ok_or_else(|| invalid(what))?;
        Ok::<_, Error>(
            bytes
                .iter()
                .fold(0_u32, |value, byte| value << 8 | u32::from(*byte)),
        )
    };
    let key = |bytes: Option<&[u8]>, what| bytes.and_then(|b| b.try_into().ok()).ok_or_else(|| invalid(what));
    if data.e_keytype.as_deref().is_some_and(|kind| kind != DJB) {
        return Err(invalid("key type"));
    }
    let signature = data
        .e_skey_sig
        .as_deref()
        .filter(|signature| signature.len() == 64);
    let props = data.device_props.as_deref().unwrap_or_default();
    // What a device says of itself is only shown: a device that says nothing readable is linked all the same.
    let props = wa::DeviceProps::decode_from_slice(props).unwrap_or_default();
    let platform = props.platform_type.unwrap_or(PlatformType::UNKNOWN);
    Ok(Registration {
        platform: platform.proto_name().to_ascii_lowercase(),
        name: props
            .os
            .unwrap_or_default()
            .chars()
            .take(MAX_DEVICE_NAME)
            .collect(),
        number: number(data.e_regid.as_deref(), "registration id")?,
        identity: key(data.e_ident.as_deref(), "identity key")?,
        signed_id: number(data.e_skey_id.as_deref(), "signed prekey id")?,
        signed_key: key(data.e_skey_val.as_deref(), "signed prekey")?,
        signature: signature.ok_or_else(|| invalid("signature"))?.to_vec(),
        device_props: data.device_props.clone().unwrap_or_default(),
    })
}

/// Whether the client's version is below the lowest that is accepted.
pub(crate) fn outdated(payload: &wa::ClientPayload, lowest: Option<(u32, u32, u32)>) -> bool {
    let version = &payload.user_agent.app_version;
    let version = (
        version.primary.unwrap_or(0),
        version.secondary.unwrap_or(0),
        version.tertiary.unwrap_or(0),
    );
    lowest.is_some_and(|lowest| version < lowest)
}

/// Answers a login: `<success>` and what else a session begins with, where device and Noise key belong together and
/// nothing is held against the account.
pub(crate) fn login(unit: &Unit<'_>, address: &Address, noise_key: &[u8; 32]) -> Result<Verdict> {
    let linked = companions::by_noise_key(unit, noise_key)?.as_ref() == Some(address);
    let refusal = if linked {
        refusals::standing(unit, &address.phone)?
    } else {
        Some(Refusal::UNLINKED)
    };
    if let Some(refusal) = refusal {
        return Ok(Verdict::Refused(refusal.failure(unit.now_ms())));
    }
    let account = directory::require(unit, &address.phone)?;
    let success = NodeBuilder::new("success")
        .attr("t", unit.now_secs())
        .attr("props", 27)
        .attr("companion_enc_static", "0")
        .attr("location", "sbx")
        .attr("status", "200")
        .attr("creation", companions::linked_at(unit, address)? / 1000)
        .attr("display_name", account.name.as_str())
        .attr("lid", account.jid(Family::Lid, address.device))
        .build();
    let mut greeting = vec![success, routing()];
    greeting.extend(dirty::raise(unit, address)?);
    Ok(Verdict::Welcome(greeting))
}

/// The routing data with which the client is to begin its next connection. There is one edge here, so it is the same
/// for all.
fn routing() -> Node {
    let info = wire::bytes_node("routing_info", ROUTING_INFO);
    let routing = NodeBuilder::new("edge_routing").children([info]).build();
    NodeBuilder::new("ib")
        .attr("from", wire::SERVER)
        .children([routing])
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_that_ask_for_nothing_are_refused() {
        assert!(matches!(
            intent(&wa::ClientPayload::default()),
            Err(Error::Invalid(_))
        ));
        let data = wa::client_payload::DevicePairingRegistrationData::default();
        let payload = wa::ClientPayload {
            device_pairing_data: data.into(),
            ..Default::default()
        };
        assert!(matches!(intent(&payload), Err(Error::Invalid(_))));
    }
}
