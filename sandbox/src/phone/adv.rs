//! Account signatures: how a phone vouches for the devices linked to it.
//!
//! A phone signs each companion's identity key (`ADVSignedDeviceIdentity`) and the list of valid key indexes
//! (`ADVSignedKeyIndexList`). Clients skip the companions of a contact whose device list lacks the latter.

use buffa::Message as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rngs::StdRng;
use sha2::Sha256;
use waproto::whatsapp as wa;

use super::identity;
use crate::error::{Error, Result};
use crate::store::Unit;

/// What the phone signs for a companion: this, the details, the companion's identity key.
const ACCOUNT_SIGNATURE: &[u8] = &[6, 0];
/// What it signs for the list of key indexes.
const KEY_INDEX_LIST_SIGNATURE: &[u8] = &[6, 2];

/// The `<device-identity>` of `pair-success`: the signed identity under an HMAC with the secret of the QR code.
pub(crate) fn device_identity(
    unit: &Unit<'_>,
    phone: &str,
    companion_identity: &[u8; 32],
    adv_secret: &[u8; 32],
    key_index: u32,
) -> Result<Vec<u8>> {
    let secrets = identity::secrets(unit, phone)?;
    let identity = &secrets.identity;
    let (raw_id, timestamp) = generation(unit, phone)?;
    let details = wa::ADVDeviceIdentity {
        raw_id: Some(raw_id),
        timestamp: Some(timestamp),
        key_index: Some(key_index),
        ..Default::default()
    }
    .encode_to_vec();
    let signature = sign(
        identity,
        &[ACCOUNT_SIGNATURE, &details, companion_identity].concat(),
    )?;
    let signed = wa::ADVSignedDeviceIdentity {
        details: Some(details),
        account_signature_key: Some(identity.public_key().public_key_bytes().to_vec()),
        account_signature: Some(signature),
        ..Default::default()
    }
    .encode_to_vec();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(adv_secret).map_err(|error| Error::codec("the ADV secret", error))?;
    mac.update(&signed);
    let hmac = mac.finalize().into_bytes().to_vec();
    Ok(wa::ADVSignedDeviceIdentityHMAC {
        details: Some(signed),
        hmac: Some(hmac),
        ..Default::default()
    }
    .encode_to_vec())
}

/// The account's signed list of key indexes, and its time in Unix seconds.
pub(crate) fn key_index_list(unit: &Unit<'_>, phone: &str) -> Result<(Vec<u8>, u64)> {
    let secrets = identity::secrets(unit, phone)?;
    let identity = &secrets.identity;
    let (raw_id, timestamp) = generation(unit, phone)?;
    let mut valid_indexes = vec![0];
    let mut statement =
        unit.prepare("SELECT key_index FROM companions WHERE phone = ?1 ORDER BY key_index")?;
    for index in statement.query_map([phone], |row| row.get::<_, u32>(0))? {
        valid_indexes.push(index?);
    }
    // Devices and their indexes are counted together, and no index is given twice.
    let next: u32 = unit
        .prepare("SELECT next_device FROM phones WHERE phone = ?1")?
        .query_row([phone], |row| row.get(0))?;
    let details = wa::ADVKeyIndexList {
        raw_id: Some(raw_id),
        timestamp: Some(timestamp),
        current_index: Some(next.saturating_sub(1)),
        valid_indexes,
        ..Default::default()
    }
    .encode_to_vec();
    let signature = sign(identity, &[KEY_INDEX_LIST_SIGNATURE, &details].concat())?;
    let list = wa::ADVSignedKeyIndexList {
        details: Some(details),
        account_signature: Some(signature),
        account_signature_key: Some(identity.public_key().public_key_bytes().to_vec()),
    };
    Ok((list.encode_to_vec(), timestamp))
}

fn generation(unit: &Unit<'_>, phone: &str) -> Result<(u32, u64)> {
    let (raw_id, changed): (u32, i64) = unit
        .prepare("SELECT adv_raw_id, adv_changed FROM phones WHERE phone = ?1")?
        .query_row([phone], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((raw_id, changed.unsigned_abs()))
}

fn sign(identity: &wacore_libsignal::protocol::IdentityKeyPair, message: &[u8]) -> Result<Vec<u8>> {
    let signature = identity
        .private_key()
        .calculate_signature(message, &mut rand::make_rng::<StdRng>())
        .map_err(|error| Error::codec("a signature", error))?;
    Ok(signature.to_vec())
}

#[cfg(test)]
mod tests {
    use wacore::pair::{DeviceState, PairUtils};
    use wacore_libsignal::protocol::KeyPair;

    use super::*;
    use crate::store::testing::Bench;

    #[test]
    fn a_client_accepts_the_identity_and_everyone_its_countersigned_form() {
        let mut rng = rand::make_rng::<StdRng>();
        let state = DeviceState {
            identity_key: KeyPair::generate(&mut rng),
            noise_key: KeyPair::generate(&mut rng),
            adv_secret_key: [9; 32],
        };
        let public: [u8; 32] = state
            .identity_key
            .public_key
            .public_key_bytes()
            .try_into()
            .unwrap();
        let mut bench = Bench::new();
        let blob = bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            device_identity(unit, &phone, &public, &state.adv_secret_key, 5)
        });
        let (countersigned, key_index) =
            PairUtils::do_pair_crypto(&state, &blob).expect("the client accepts it");
        assert_eq!(key_index, 5);
        let valid = wacore::adv::validate_adv_with_identity_key(&countersigned, &public, None);
        assert_eq!(valid, wacore::adv::AdvValidation::Valid);
    }

    #[test]
    fn the_key_index_list_decodes() {
        let mut bench = Bench::new();
        let (list, _) = bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            key_index_list(unit, &phone)
        });
        let decoded = wacore::adv::decode_key_index_list(&list).unwrap();
        assert_eq!(decoded.valid_indexes, [0]);
    }
}
