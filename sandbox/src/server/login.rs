//! What a client's payload asks for: to log in as a device, or to become one.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use crate::companions::{self, Registration};
use crate::directory::{self, Address, Family};
use crate::error::{Error, Result};
use crate::store::Unit;

/// Registration data says in one byte that keys are Curve25519.
const DJB: [u8; 1] = [5];

/// What the payload is.
pub(crate) enum Intent {
    /// A linked device comes back.
    Login(Address),
    /// A new device wants to be linked.
    Register(Registration),
}

/// Reads the payload.
///
/// # Errors
/// [`Error::Invalid`] for one that is neither, or whose keys cannot be.
pub(crate) fn intent(payload: &wa::ClientPayload) -> Result<Intent> {
    if let Some(data) = payload.device_pairing_data.as_option() {
        return registration(data).map(Intent::Register);
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
    Ok(Registration {
        number: number(data.e_regid.as_deref(), "registration id")?,
        identity: key(data.e_ident.as_deref(), "identity key")?,
        signed_id: number(data.e_skey_id.as_deref(), "signed prekey id")?,
        signed_key: key(data.e_skey_val.as_deref(), "signed prekey")?,
        signature: signature.ok_or_else(|| invalid("signature"))?.to_vec(),
        device_props: data.device_props.clone().unwrap_or_default(),
    })
}

/// Answers a login: `<success>` where device and Noise key belong together, else `None`.
pub(crate) fn login(unit: &Unit<'_>, address: &Address, noise_key: &[u8; 32]) -> Result<Option<Node>> {
    if companions::by_noise_key(unit, noise_key)?.as_ref() != Some(address) {
        return Ok(None);
    }
    let account = directory::require(unit, &address.phone)?;
    let success = NodeBuilder::new("success")
        .attr("t", unit.now_secs())
        .attr("props", 27)
        .attr("companion_enc_static", "0")
        .attr("location", "sbx")
        .attr("status", "200")
        .attr("display_name", account.name.as_str())
        .attr("lid", account.jid(Family::Lid, address.device))
        .build();
    Ok(Some(success))
}

/// The refusal of a login: the device is not, or no longer, linked.
pub(crate) fn refusal() -> Node {
    NodeBuilder::new("failure")
        .attr("reason", "401")
        .attr("location", "sbx")
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
