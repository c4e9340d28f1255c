//! The sealed form: one version byte, a random 96-bit nonce, the AES-256-GCM ciphertext
//! and its 128-bit tag.
//!
//! NIST SP 800-38D allows 2^32 random nonces under one key; an instance that writes ten
//! times a second takes thirteen years to use them up.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};

use super::wrapper::DataKey;

/// The form described above.
const VERSION: u8 = 1;
const NONCE_LENGTH: usize = 12;

/// How many bytes longer a sealed value is than its plaintext.
pub const OVERHEAD: usize = 1 + NONCE_LENGTH + 16;

/// Seals `plain`. `aad` names what it is, so that it opens nowhere else.
pub fn seal(key: &DataKey, aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LENGTH] = rand::random();
    let payload = Payload {
        msg: plain,
        aad: &bound(aad),
    };
    let ciphertext = Aes256Gcm::new(key.bytes().into())
        .encrypt(&Nonce::from(nonce), payload)
        .expect("only 64 GiB and more are too long for AES-GCM");
    let mut sealed = Vec::with_capacity(OVERHEAD + plain.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    sealed
}

/// Opens what [`seal`] made; `None` where the key, `aad` or any bit of the value is another.
pub fn open(key: &DataKey, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (&VERSION, rest) = sealed.split_first()? else {
        return None;
    };
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>()?;
    let payload = Payload {
        msg: ciphertext,
        aad: &bound(aad),
    };
    Aes256Gcm::new(key.bytes().into())
        .decrypt(&Nonce::from(*nonce), payload)
        .ok()
}

/// Binds the version to the value, so that no later form is mistaken for this one.
fn bound(aad: &[u8]) -> Vec<u8> {
    let mut bound = Vec::with_capacity(1 + aad.len());
    bound.push(VERSION);
    bound.extend_from_slice(aad);
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_with_its_key_and_name_alone() {
        let key = DataKey::generate();
        let sealed = seal(&key, b"a", b"plain");
        assert_eq!(sealed.len(), OVERHEAD + 5);
        assert_eq!(open(&key, b"a", &sealed).as_deref(), Some(&b"plain"[..]));
        assert_eq!(open(&key, b"b", &sealed), None);
        assert_eq!(open(&DataKey::generate(), b"a", &sealed), None);
    }

    #[test]
    fn every_byte_counts() {
        let key = DataKey::generate();
        let sealed = seal(&key, b"a", b"plain");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, b"a", &changed), None, "byte {at}");
            assert_eq!(open(&key, b"a", &sealed[..at]), None, "the first {at} bytes");
        }
    }

    #[test]
    fn the_same_plaintext_seals_differently_each_time() {
        let key = DataKey::generate();
        assert_ne!(seal(&key, b"a", b"plain"), seal(&key, b"a", b"plain"));
    }
}
