//! The token of a pairing link. Whoever has it may pair one instance, without an account here, until the link ends.
//!
//! A token is the instance's id and a secret, in base64url. The id says where the link is stored. The store keeps a hash
//! alone, and a link's secret is random enough to need no salt.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hmac::digest::{CtOutput, Output};
use sha2::{Digest as _, Sha256};

use crate::ids::InstanceId;

/// How long a link is good.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(30);

/// Bytes of an instance's id.
const ID: usize = 16;

/// Random bytes: 192 bits.
const SECRET: usize = 24;

/// Characters of a token.
pub(crate) const LENGTH: usize = (ID + SECRET) * 8 / 6 + 1;

/// A token as its holder has it. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingToken {
    text: String,
    instance: InstanceId,
}

/// What the store knows a token by.
#[derive(Clone)]
pub struct PairingTokenHash(Output<Sha256>);

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the token of a pairing link")]
pub struct InvalidPairingToken;

impl PairingToken {
    /// A new token for an instance.
    pub fn generate(instance: InstanceId) -> Self {
        let bytes = [&instance.to_bytes()[..], &rand::random::<[u8; SECRET]>()].concat();
        Self {
            text: URL_SAFE_NO_PAD.encode(bytes),
            instance,
        }
    }

    /// The instance that it is for.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// The text for the link.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What the store knows it by.
    pub fn hash(&self) -> PairingTokenHash {
        PairingTokenHash(Sha256::digest(&self.text))
    }
}

impl FromStr for PairingToken {
    type Err = InvalidPairingToken;

    fn from_str(text: &str) -> Result<Self, InvalidPairingToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidPairingToken)?;
        let (id, secret) = bytes.split_first_chunk::<ID>().ok_or(InvalidPairingToken)?;
        if secret.len() != SECRET {
            return Err(InvalidPairingToken);
        }
        Ok(Self {
            text: text.to_owned(),
            instance: InstanceId::from_bytes(*id),
        })
    }
}

impl fmt::Debug for PairingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairingToken({})", self.instance)
    }
}

impl PairingTokenHash {
    /// The hash that the store keeps as these bytes; `None` for bytes that are none.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        Output::<Sha256>::try_from(bytes).ok().map(Self)
    }

    /// The bytes that the store keeps.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Takes the same time whatever the two are.
impl PartialEq for PairingTokenHash {
    fn eq(&self, other: &Self) -> bool {
        CtOutput::<Sha256>::new(self.0) == CtOutput::new(other.0)
    }
}

impl Eq for PairingTokenHash {}

impl fmt::Debug for PairingTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingTokenHash")
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_token_leads_to_its_instance_and_shows_nothing() {
        let instance = InstanceId::new(DateTime::UNIX_EPOCH);
        let token = PairingToken::generate(instance);
        assert_eq!(token.reveal().len(), LENGTH);
        let read: PairingToken = token.reveal().parse().expect("ours");
        assert_eq!((read.instance(), &read), (instance, &token));
        assert_eq!(read.hash(), token.hash());
        assert_eq!(
            PairingTokenHash::from_stored(token.hash().as_bytes()),
            Some(token.hash())
        );
        assert_eq!(PairingTokenHash::from_stored(&[7; 31]), None);
        let other = PairingToken::generate(instance);
        assert_ne!(other.hash(), token.hash());
        assert!(!format!("{token:?} {:?}", token.hash()).contains(token.reveal()));
    }

    #[test]
    fn other_texts_are_none() {
        let token = PairingToken::generate(InstanceId::new(DateTime::UNIX_EPOCH));
        let text = token.reveal();
        for wrong in [
            "",
            "favicon.ico",
            &text[1..],
            &format!("{text}A"),
            &format!("{}!", &text[1..]),
            // One spelling each: the last character has two bits of the token.
            &format!("{}B", &text[..LENGTH - 1]),
        ] {
            assert_eq!(wrong.parse::<PairingToken>(), Err(InvalidPairingToken), "{wrong}");
        }
    }
}
