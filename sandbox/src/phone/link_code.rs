//! The phone's half of linking by code. Two ephemeral keys travel under a key made of the code. The secret that both
//! sides agree on by them protects the companion's keys, and the phone's signature on its way back.
//!
//! A phone does not notice a wrong code until it opens the companion's keys: the code yields another ephemeral key,
//! and the bundle does not open.

use hkdf::Hkdf;
use rand::rngs::StdRng;
use sha2::Sha256;
use wacore::pair_code::PairCodeUtils;
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::{IdentityKeyPair, KeyPair, PublicKey};

use crate::error::{Error, Result};

/// A wrapped ephemeral key: salt, IV, key.
pub(crate) const WRAPPED: usize = 32 + 16 + 32;

/// A wrapped bundle: salt, nonce, three keys of 32 bytes, tag.
const BUNDLE: usize = 32 + 12 + 3 * 32 + 16;

const BUNDLE_KEY: &[u8] = b"link_code_pairing_key_bundle_encryption_key";
const ADV_SECRET: &[u8] = b"adv_secret";

/// One attempt to link by a code.
pub(crate) struct Attempt {
    /// What the two ephemeral keys agree on.
    shared: [u8; 32],
    /// The phone's ephemeral key under the code, for the companion.
    pub(crate) wrapped: [u8; WRAPPED],
}

/// Reads a code as a person may type it: without hyphen and spaces, in capitals.
///
/// # Errors
/// [`Error::Invalid`] for what cannot be one.
pub(crate) fn read_code(typed: &str) -> Result<String> {
    let code: String = typed
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    if PairCodeUtils::validate_code(&code) {
        Ok(code)
    } else {
        Err(Error::Invalid(
            "`code` has eight characters, digits 1 to 9 and letters without I, O and U".into(),
        ))
    }
}

impl Attempt {
    /// Opens the companion's ephemeral key with `code` and makes the phone's own. Takes a tenth of a second: the code
    /// is stretched twice.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the two cannot agree on anything.
    pub(crate) fn begin(code: &str, companion: &[u8; WRAPPED]) -> Result<Self> {
        let companion = PairCodeUtils::decrypt_primary_ephemeral_pub(companion, code).map_err(|_| wrong())?;
        let companion = PublicKey::from_djb_public_key_bytes(&companion).map_err(|_| wrong())?;
        let own = KeyPair::generate(&mut rand::make_rng::<StdRng>());
        let public = own
            .public_key
            .public_key_bytes()
            .try_into()
            .map_err(|error| Error::codec("an ephemeral key", error))?;
        Ok(Self {
            shared: own.calculate_agreement(&companion).map_err(|_| wrong())?,
            wrapped: PairCodeUtils::encrypt_ephemeral_pub(&public, code),
        })
    }

    /// Opens the companion's bundle; answers the secret for its signed identity.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a bundle that does not open (the code was wrong) or is not for this phone.
    pub(crate) fn finish(
        &self,
        identity: &IdentityKeyPair,
        companion: &[u8; 32],
        bundle: &[u8],
    ) -> Result<[u8; 32]> {
        if bundle.len() != BUNDLE {
            return Err(wrong());
        }
        let (salt, rest) = bundle.split_at(32);
        let (nonce, sealed) = rest.split_at(12);
        let key = derive(&self.shared, Some(salt), BUNDLE_KEY)?;
        let nonce = nonce.try_into().map_err(|error| Error::codec("a nonce", error))?;
        let mut keys = Vec::new();
        aes_256_gcm_decrypt(&key, nonce, b"", sealed, &mut keys).map_err(|_| wrong())?;
        let (theirs, rest) = keys.split_at(32);
        let (ours, random) = rest.split_at(32);
        if theirs != companion || ours != identity.public_key().public_key_bytes() {
            return Err(Error::Conflict(
                "the client's keys are not those of the two that are being linked".into(),
            ));
        }
        let companion = PublicKey::from_djb_public_key_bytes(companion).map_err(|_| wrong())?;
        let agreed = identity
            .private_key()
            .calculate_agreement(&companion)
            .map_err(|_| wrong())?;
        derive(&[&self.shared, &agreed, random].concat(), None, ADV_SECRET)
    }
}

fn wrong() -> Error {
    Error::Conflict("the phone cannot read the client's keys: the code is wrong".into())
}

fn derive(secret: &[u8], salt: Option<&[u8]>, purpose: &[u8]) -> Result<[u8; 32]> {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(salt, secret)
        .expand(purpose, &mut key)
        .map_err(|error| Error::codec("a derived key", error))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(pair: &KeyPair) -> [u8; 32] {
        pair.public_key.public_key_bytes().try_into().unwrap()
    }

    #[test]
    fn both_sides_get_the_same_secret_and_a_wrong_code_none() {
        let mut rng = rand::make_rng::<StdRng>();
        let phone = IdentityKeyPair::generate(&mut rng);
        let (companion, ephemeral) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
        let hello = PairCodeUtils::encrypt_ephemeral_pub(&public(&ephemeral), "ABCD2345");
        for (typed, right) in [("ABCD2345", true), ("ABCD2346", false)] {
            let attempt = Attempt::begin(typed, &hello).unwrap();
            let theirs = PairCodeUtils::decrypt_primary_ephemeral_pub(&attempt.wrapped, "ABCD2345").unwrap();
            let identity = phone.public_key().public_key_bytes().try_into().unwrap();
            let (bundle, secret) =
                PairCodeUtils::prepare_key_bundle(&ephemeral, &theirs, &identity, &companion).unwrap();
            let ours = attempt.finish(&phone, &public(&companion), &bundle);
            if right {
                assert_eq!(ours.unwrap(), secret);
            } else {
                assert!(matches!(ours, Err(Error::Conflict(_))));
            }
        }
    }

    #[test]
    fn codes_as_people_type_them() {
        assert_eq!(read_code("abcd-2345").unwrap(), "ABCD2345");
        for bad in ["", "ABCD234", "ABCD23456", "ABCD234O", "ÄBCD2345"] {
            assert!(matches!(read_code(bad), Err(Error::Invalid(_))), "{bad}");
        }
    }
}
