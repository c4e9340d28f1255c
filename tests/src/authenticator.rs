//! An authenticator in software, with the browser before it: it makes the assertion that a passkey's owner makes on a page (Web
//! Authentication, Level 2, 6.3.3 and 7.2). It knows nothing of the sandbox but the key that it is given.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Somebody was there, and has shown who.
const PRESENT_AND_VERIFIED: u8 = 0b101;

/// An authenticator that holds one passkey.
#[derive(Debug)]
pub struct Authenticator {
    key: EcdsaKeyPair,
    credential: Vec<u8>,
    owner: String,
}

impl Authenticator {
    /// One with this passkey, as the sandbox shows it.
    pub fn with(passkey: &Value) -> Self {
        let text = |member: &str| passkey[member].as_str().expect("a text").to_owned();
        let key = STANDARD.decode(text("privateKey")).expect("base64");
        let random = SystemRandom::new();
        Self {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key, &random).expect("a key"),
            credential: URL_SAFE_NO_PAD.decode(text("credentialId")).expect("base64url"),
            owner: text("userHandle"),
        }
    }

    /// The credential that `navigator.credentials.get` gives for these request options on a page of this origin.
    pub fn get(&self, options: &Value, origin: &str) -> Value {
        let id = URL_SAFE_NO_PAD.encode(&self.credential);
        let listed = options["allowCredentials"].as_array().expect("a list");
        assert!(
            listed.iter().any(|one| one["id"] == id),
            "this passkey is asked for"
        );
        let host = options["rpId"].as_str().expect("a host");
        let client_data = json!({
            "type": "webauthn.get",
            "challenge": options["challenge"],
            "origin": origin,
            "crossOrigin": false,
        })
        .to_string();
        let data = [
            &Sha256::digest(host)[..],
            &[PRESENT_AND_VERIFIED],
            &1_u32.to_be_bytes(),
        ]
        .concat();
        let signed = [&data[..], &Sha256::digest(&client_data)[..]].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).expect("signed");
        json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": self.owner,
            },
        })
    }
}
