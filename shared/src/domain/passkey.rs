//! Linking with a passkey. Of some accounts WhatsApp wants a `WebAuthn` assertion before it links a device. It is bound to
//! WhatsApp's own page, so no server can make it: a browser of the account's owner does. Then the owner compares a code that the
//! phone shows too.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::text_enum;
use crate::ids::InstanceId;

/// The most bytes of request options that are handed out, and of an answer that is taken. Both are one to two thousand bytes.
pub const MOST_BYTES: usize = 16 * 1024;

/// What a browser calls an assertion in its client data.
const ASSERTION_TYPE: &str = "webauthn.get";

text_enum! {
    /// What is wanted of the account's owner.
    PasskeyStage {
        /// An assertion by the passkey.
        Assertion = "assertion",
        /// A word that the phone shows the same code.
        Confirmation = "confirmation",
    }
    else
        /// Something that a newer version knows.
        Unknown = "unknown"
}

/// Something that is wanted of the account's owner, and waits. It is bound to the connection over which WhatsApp wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRequest {
    /// What is wanted.
    pub stage: PasskeyStage,
    /// Tells it from every other one.
    pub mark: String,
    /// The request options of an assertion as WhatsApp gave them, or the code to compare; sealed for the purpose of content.
    pub sealed: Vec<u8>,
    /// Until when it is waited for.
    pub expires_at: DateTime<Utc>,
}

impl PasskeyRequest {
    /// The associated data under which what is wanted of an instance's owner is sealed.
    pub fn aad(instance: InstanceId, mark: &str) -> Vec<u8> {
        format!("{instance}|passkey|{mark}").into_bytes()
    }
}

/// What the account's owner has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyAnswer {
    /// Of the request that it answers.
    pub mark: String,
    /// The assertion, a [`Credential`] in JSON, sealed for the purpose of content; `None` where the code was the same.
    pub sealed: Option<Vec<u8>>,
}

impl PasskeyAnswer {
    /// The associated data under which an answer is sealed.
    pub fn aad(instance: InstanceId, mark: &str) -> Vec<u8> {
        format!("{instance}|passkey-answer|{mark}").into_bytes()
    }
}

/// An assertion as browsers show it in JSON (`AuthenticationResponseJSON`; Web Authentication, Level 3, 5.1.9), and as WhatsApp
/// takes it. Bytes are in base64url.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// The passkey's id.
    pub id: String,
    /// The same.
    pub raw_id: String,
    /// Always `public-key`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the passkey has signed.
    pub response: AssertionResponse,
}

/// What a passkey has signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssertionResponse {
    /// What the browser says of the ceremony: JSON.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: String,
    /// What the passkey's device says of it.
    pub authenticator_data: String,
    /// Over both.
    pub signature: String,
    /// Whose passkey it is, where its device says so.
    #[serde(default)]
    pub user_handle: Option<String>,
}

/// What is wrong with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// It is longer than any is.
    #[error("is larger than {MOST_BYTES} bytes")]
    TooLarge,
    /// It is no assertion.
    #[error(
        "must be a `PublicKeyCredential` with an assertion, as a browser shows it in JSON: bytes are in base64url"
    )]
    NoAssertion,
    /// It is one of another time.
    #[error("answers another request: ask the passkey anew with the present options")]
    OtherChallenge,
}

impl Credential {
    /// Checks that it is an assertion and answers `challenge`, in base64url. Whether its signature is right, WhatsApp alone can say.
    pub fn check(&self, challenge: &str) -> Result<(), InvalidCredential> {
        #[derive(Deserialize)]
        struct ClientData {
            #[serde(rename = "type")]
            kind: String,
            challenge: String,
        }
        let response = &self.response;
        let parts = [
            &self.raw_id,
            &response.client_data_json,
            &response.authenticator_data,
            &response.signature,
        ];
        let handle = response.user_handle.iter();
        let length: usize = parts.into_iter().chain(handle.clone()).map(String::len).sum();
        if length > MOST_BYTES {
            return Err(InvalidCredential::TooLarge);
        }
        let is_whole = parts
            .into_iter()
            .all(|part| bytes(part).is_some_and(|bytes| !bytes.is_empty()))
            && handle.into_iter().all(|handle| bytes(handle).is_some());
        if !is_whole || self.kind != "public-key" || self.id != self.raw_id {
            return Err(InvalidCredential::NoAssertion);
        }
        let told = bytes(&response.client_data_json).unwrap_or_default();
        let told: ClientData = serde_json::from_slice(&told).map_err(|_| InvalidCredential::NoAssertion)?;
        if told.kind != ASSERTION_TYPE {
            return Err(InvalidCredential::NoAssertion);
        }
        let wanted = bytes(challenge);
        if wanted.is_none() || bytes(&told.challenge) != wanted {
            return Err(InvalidCredential::OtherChallenge);
        }
        Ok(())
    }

    /// The passkey's id in bytes; nothing where it is none.
    pub fn raw_id_bytes(&self) -> Vec<u8> {
        bytes(&self.raw_id).unwrap_or_default()
    }
}

/// What a text in base64url says, with or without padding.
fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// Who holds an assertion may use it once. It stays out of logs.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

impl fmt::Debug for AssertionResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionResponse").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn credential(client_data: &serde_json::Value) -> Credential {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        serde_json::from_value(json!({
            "id": text(b"passkey"),
            "rawId": text(b"passkey"),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": text(client_data.to_string().as_bytes()),
                "authenticatorData": text(&[1; 37]),
                "signature": text(&[2; 70]),
                "userHandle": null,
            },
        }))
        .expect("a credential")
    }

    #[test]
    fn an_assertion_answers_its_own_challenge_alone() {
        let data = |kind: &str, challenge: &str| json!({"type": kind, "challenge": challenge, "origin": "https://x"});
        let right = credential(&data("webauthn.get", "AAEC"));
        assert_eq!(right.check("AAEC"), Ok(()));
        assert_eq!(right.check("AAED"), Err(InvalidCredential::OtherChallenge));
        assert_eq!(right.check("no base64!"), Err(InvalidCredential::OtherChallenge));
        assert_eq!(right.raw_id_bytes(), b"passkey");
        let made = credential(&data("webauthn.create", "AAEC"));
        assert_eq!(made.check("AAEC"), Err(InvalidCredential::NoAssertion));
        let changed = |change: fn(&mut Credential)| {
            let mut credential = right.clone();
            change(&mut credential);
            credential.check("AAEC")
        };
        assert_eq!(changed(|one| one.id.clear()), Err(InvalidCredential::NoAssertion));
        assert_eq!(
            changed(|one| one.response.signature.clear()),
            Err(InvalidCredential::NoAssertion)
        );
        assert_eq!(
            changed(|one| "{}".clone_into(&mut one.kind)),
            Err(InvalidCredential::NoAssertion)
        );
        let large = changed(|one| one.response.signature = "A".repeat(MOST_BYTES));
        assert_eq!(large, Err(InvalidCredential::TooLarge));
    }

    #[test]
    fn whatsapp_gets_the_members_that_its_own_client_sends() {
        let credential = credential(&json!({"type": "webauthn.get", "challenge": "AAEC"}));
        let shown = serde_json::to_value(&credential).expect("plain data");
        let names = |value: &serde_json::Value| {
            let members = value.as_object().expect("an object").keys().cloned();
            members.collect::<Vec<_>>()
        };
        assert_eq!(names(&shown), ["id", "rawId", "response", "type"]);
        assert_eq!(
            names(&shown["response"]),
            ["authenticatorData", "clientDataJSON", "signature", "userHandle"]
        );
        assert!(!format!("{credential:?}").contains("AAEC"));
    }
}
