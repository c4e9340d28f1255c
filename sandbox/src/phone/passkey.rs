//! A passkey of the account: a key that signs what a browser tells it (Web Authentication, Level 2). The network checks an assertion
//! as a relying party does (7.2). The key is of the sandbox's own making and no secret: a test puts it into an authenticator, or lets
//! the phone's person use it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::RngExt as _;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use rusqlite::OptionalExtension as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::store::Unit;

/// To which host the network's passkeys are bound. Browsers take it without TLS, so a local page can ask for one.
pub(crate) const RELYING_PARTY: &str = "localhost";

/// Flags of an authenticator's data: somebody was there, and has shown who.
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;

/// The hash of the relying party, the flags, and the count of signatures.
const LEAST_AUTHENTICATOR_DATA: usize = 32 + 1 + 4;

/// An account's passkey.
#[derive(Clone)]
pub(crate) struct Passkey {
    credential_id: Vec<u8>,
    private_key: Vec<u8>,
    user_handle: Vec<u8>,
}

/// A passkey as the admin API shows it, for an authenticator that a test brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasskeyInfo {
    /// In base64url.
    pub credential_id: String,
    /// P-256, PKCS#8, in base64.
    pub private_key: String,
    /// In base64url.
    pub user_handle: String,
    /// To which host it is bound.
    pub rp_id: String,
}

/// What of an assertion is read.
#[derive(Deserialize)]
struct Assertion {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    authenticator_data: String,
    signature: String,
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
}

/// Gives an account a passkey.
pub(crate) fn create(unit: &Unit<'_>, phone: &str) -> Result<()> {
    let generated = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
    let private_key = generated.map_err(|error| Error::codec("a passkey", error))?;
    let mut rng = rand::rng();
    let (credential_id, user_handle) = (rng.random::<[u8; 16]>(), rng.random::<[u8; 16]>());
    unit.execute(
        "INSERT INTO passkeys (phone, credential_id, private_key, user_handle) VALUES (?1, ?2, ?3, ?4)",
        (phone, credential_id, private_key.as_ref(), user_handle),
    )?;
    Ok(())
}

/// The account's passkey, where it has one.
pub(crate) fn of(unit: &Unit<'_>, phone: &str) -> Result<Option<Passkey>> {
    let found = unit
        .prepare("SELECT credential_id, private_key, user_handle FROM passkeys WHERE phone = ?1")?
        .query_row([phone], |row| {
            Ok(Passkey {
                credential_id: row.get(0)?,
                private_key: row.get(1)?,
                user_handle: row.get(2)?,
            })
        })
        .optional()?;
    Ok(found)
}

impl Passkey {
    /// The passkey for an authenticator of a test.
    pub(crate) fn info(&self) -> PasskeyInfo {
        PasskeyInfo {
            credential_id: URL_SAFE_NO_PAD.encode(&self.credential_id),
            private_key: STANDARD.encode(&self.private_key),
            user_handle: URL_SAFE_NO_PAD.encode(&self.user_handle),
            rp_id: RELYING_PARTY.to_owned(),
        }
    }

    /// The request options by which a browser is asked for it.
    pub(crate) fn options(&self, challenge: &[u8]) -> String {
        json!({
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "rpId": RELYING_PARTY,
            "timeout": 300_000,
            "userVerification": "required",
            "allowCredentials": [{
                "type": "public-key",
                "id": URL_SAFE_NO_PAD.encode(&self.credential_id),
                "transports": ["internal", "hybrid"],
            }],
        })
        .to_string()
    }

    /// Checks an assertion that answers `challenge`.
    ///
    /// # Errors
    /// [`Error::Refused`] for one that does not.
    pub(crate) fn verify(&self, challenge: &[u8], assertion: &[u8]) -> Result<()> {
        let refused = Error::not_authorized;
        let assertion: Assertion =
            serde_json::from_slice(assertion).map_err(|_| refused("this is no assertion"))?;
        let bytes = |text: &str| {
            let decoded = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
            decoded.map_err(|_| refused("this is no base64url"))
        };
        if assertion.kind != "public-key" || bytes(&assertion.id)? != self.credential_id {
            return Err(refused("this is another passkey"));
        }
        let client_data = bytes(&assertion.response.client_data_json)?;
        let told: ClientData =
            serde_json::from_slice(&client_data).map_err(|_| refused("this is no client data"))?;
        if told.kind != "webauthn.get" || bytes(&told.challenge)? != challenge {
            return Err(refused("this answers another challenge"));
        }
        if !is_ours(&told.origin) {
            return Err(refused("this was made for another page"));
        }
        let data = bytes(&assertion.response.authenticator_data)?;
        let party = Sha256::digest(RELYING_PARTY);
        if data.len() < LEAST_AUTHENTICATOR_DATA || data[..32] != party[..] {
            return Err(refused("this was made for another relying party"));
        }
        if data[32] & (USER_PRESENT | USER_VERIFIED) != USER_PRESENT | USER_VERIFIED {
            return Err(refused("nobody has shown who they are"));
        }
        let signed = [&data[..], &Sha256::digest(&client_data)[..]].concat();
        let signature = bytes(&assertion.response.signature)?;
        let key = self.key()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref())
            .verify(&signed, &signature)
            .map_err(|_| refused("the signature is wrong"))
    }

    /// Makes an assertion, as a browser on a page of `origin` does when its person agrees.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options without a challenge, or of another host.
    pub(crate) fn assert(&self, options: &Value, origin: &str) -> Result<Value> {
        let challenge = options["challenge"].as_str();
        let challenge = challenge.ok_or_else(|| Error::Invalid("`options` has no challenge".into()))?;
        if options["rpId"].as_str().is_some_and(|host| host != RELYING_PARTY) {
            return Err(Error::Invalid(
                "the passkey is not for this `options.rpId`".into(),
            ));
        }
        let client_data = json!({
            "type": "webauthn.get",
            "challenge": challenge.trim_end_matches('='),
            "origin": origin,
            "crossOrigin": false,
        })
        .to_string();
        let party = Sha256::digest(RELYING_PARTY);
        let data = [&party[..], &[USER_PRESENT | USER_VERIFIED], &[0; 4]].concat();
        let signed = [&data[..], &Sha256::digest(&client_data)[..]].concat();
        let signature = self.key()?.sign(&SystemRandom::new(), &signed);
        let signature = signature.map_err(|error| Error::codec("a signature", error))?;
        let id = URL_SAFE_NO_PAD.encode(&self.credential_id);
        Ok(json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": URL_SAFE_NO_PAD.encode(&self.user_handle),
            },
        }))
    }

    fn key(&self) -> Result<EcdsaKeyPair> {
        let random = SystemRandom::new();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.private_key, &random)
            .map_err(|error| Error::codec("a passkey", error))
    }
}

/// Whether a page of this origin may ask for the network's passkeys: any port of the host will do.
fn is_ours(origin: &str) -> bool {
    let host = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    host.and_then(|host| host.split(':').next()) == Some(RELYING_PARTY)
}

/// Without the key.
impl std::fmt::Debug for Passkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passkey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    const PAGE: &str = "http://localhost:3000";

    fn passkey() -> Passkey {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            assert!(of(unit, &phone)?.is_none());
            create(unit, &phone)?;
            Ok(of(unit, &phone)?.expect("there"))
        })
    }

    fn options(passkey: &Passkey, challenge: &[u8]) -> Value {
        serde_json::from_str(&passkey.options(challenge)).expect("JSON")
    }

    fn told(passkey: &Passkey, challenge: &[u8], assertion: &Value) -> String {
        let verified = passkey.verify(challenge, assertion.to_string().as_bytes());
        verified.map_or_else(|error| error.to_string(), |()| "right".to_owned())
    }

    #[test]
    fn an_assertion_is_right_for_its_own_challenge_page_and_key() {
        let (own, other) = (passkey(), passkey());
        let wanted = options(&own, b"challenge");
        let right = own.assert(&wanted, PAGE).expect("made");
        assert_eq!(told(&own, b"challenge", &right), "right");
        assert_eq!(told(&own, b"another", &right), "this answers another challenge");
        assert_eq!(told(&other, b"challenge", &right), "this is another passkey");
        for origin in [
            "https://evil.example",
            "http://localhost.evil.example",
            "localhost",
        ] {
            let made = own.assert(&wanted, origin).expect("made");
            assert_eq!(told(&own, b"challenge", &made), "this was made for another page");
        }
        let foreign = json!({"challenge": "AA", "rpId": "web.whatsapp.com"});
        assert!(matches!(own.assert(&foreign, PAGE), Err(Error::Invalid(_))));
    }

    #[test]
    fn each_part_of_an_assertion_counts() {
        let own = passkey();
        let right = own.assert(&options(&own, b"challenge"), PAGE).expect("made");
        let changed = |member: &str, change: fn(&mut Vec<u8>)| {
            let mut assertion = right.clone();
            let at = &mut assertion["response"][member];
            let mut bytes = URL_SAFE_NO_PAD
                .decode(at.as_str().expect("a text"))
                .expect("base64url");
            change(&mut bytes);
            *at = json!(URL_SAFE_NO_PAD.encode(bytes));
            told(&own, b"challenge", &assertion)
        };
        let wrong = "the signature is wrong";
        assert_eq!(changed("signature", |bytes| bytes[10] ^= 1), wrong);
        assert_eq!(changed("authenticatorData", |bytes| bytes[36] ^= 1), wrong);
        assert_eq!(changed("clientDataJSON", |bytes| bytes.push(b' ')), wrong);
        assert_eq!(
            changed("authenticatorData", |bytes| bytes[32] = USER_PRESENT),
            "nobody has shown who they are"
        );
        assert_eq!(
            changed("authenticatorData", |bytes| bytes[0] ^= 1),
            "this was made for another relying party"
        );
        assert_eq!(told(&own, b"challenge", &json!({})), "this is no assertion");
    }
}
