//! What signs events, and what else only the endpoint is to see.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Headers;

/// How many bytes a secret may have, by the Standard Webhooks specification.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How many a new one has: as many as the digest of its signatures.
const NEW_BYTES: usize = 32;

/// A text that is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `whsec_` and the base64 of 24 to 64 bytes")]
pub struct InvalidSecret;

/// A secret that signs events, as the Standard Webhooks specification writes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookSecret(String);

impl WebhookSecret {
    /// What every secret begins with.
    pub const PREFIX: &str = "whsec_";

    /// A new secret of 32 random bytes.
    pub fn generate() -> Self {
        Self::of(&rand::random::<[u8; NEW_BYTES]>())
    }

    fn of(bytes: &[u8]) -> Self {
        Self(format!("{}{}", Self::PREFIX, STANDARD.encode(bytes)))
    }

    /// The whole secret, for its owner alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The bytes that signatures are made with.
    pub fn key(&self) -> Vec<u8> {
        let text = self.0.strip_prefix(Self::PREFIX).unwrap_or_default();
        STANDARD.decode(text).expect("a secret was parsed or made here")
    }
}

impl FromStr for WebhookSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(InvalidSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if BYTES.contains(&bytes.len()) {
            Ok(Self::of(&bytes))
        } else {
            Err(InvalidSecret)
        }
    }
}

impl TryFrom<String> for WebhookSecret {
    type Error = InvalidSecret;

    fn try_from(text: String) -> Result<Self, InvalidSecret> {
        text.parse()
    }
}

impl From<WebhookSecret> for String {
    fn from(secret: WebhookSecret) -> Self {
        secret.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// A secret that was replaced and signs for a while yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierSecret {
    /// The secret.
    pub secret: WebhookSecret,
    /// Until when it signs.
    pub until: DateTime<Utc>,
}

/// What of a webhook only its endpoint is to see. It rests sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confidential {
    /// The headers that are sent along.
    #[serde(default)]
    pub headers: Headers,
    /// What signs.
    pub secret: WebhookSecret,
    /// What signs beside it during a rotation: two at most, the newest first.
    #[serde(default)]
    pub earlier: Vec<EarlierSecret>,
}

impl Confidential {
    /// With a new secret.
    pub fn new(headers: Headers) -> Self {
        Self {
            headers,
            secret: WebhookSecret::generate(),
            earlier: Vec::new(),
        }
    }

    /// What an event is signed with at `now`, the present secret first.
    pub fn signing(&self, now: DateTime<Utc>) -> impl Iterator<Item = &WebhookSecret> {
        let earlier = self.earlier.iter().filter(move |earlier| now < earlier.until);
        std::iter::once(&self.secret).chain(earlier.map(|earlier| &earlier.secret))
    }

    /// The same with another secret. With `old_until` the present one signs until then, and of those before it the oldest
    /// that still signs does so until its own end: if the answer to an earlier rotation was lost, that one is what the
    /// endpoint knows. Without it none does.
    #[must_use]
    pub fn rotated(&self, old_until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let earlier = old_until.map(|until| {
            let replaced = EarlierSecret {
                secret: self.secret.clone(),
                until,
            };
            let oldest = self.earlier.iter().rev().find(|earlier| now < earlier.until);
            std::iter::once(replaced).chain(oldest.cloned()).collect()
        });
        Self {
            headers: self.headers.clone(),
            secret: WebhookSecret::generate(),
            earlier: earlier.unwrap_or_default(),
        }
    }

    /// Until when earlier secrets sign; `None` where none does at `now`.
    pub fn earlier_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let until = self.earlier.iter().map(|earlier| earlier.until).max();
        until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_secret_is_read_back_and_what_is_none_is_refused() {
        let secret = WebhookSecret::generate();
        assert_eq!(secret.key().len(), NEW_BYTES);
        assert_eq!(secret.reveal().parse(), Ok(secret.clone()));
        assert_ne!(WebhookSecret::generate(), secret);
        assert_eq!(format!("{secret:?}"), "WebhookSecret");
        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        assert!(of(24).parse::<WebhookSecret>().is_ok() && of(64).parse::<WebhookSecret>().is_ok());
        for text in [
            "",
            "whsec_",
            "whsec_%%%",
            &of(23),
            &of(65),
            &of(32)["whsec_".len()..],
        ] {
            assert_eq!(text.parse::<WebhookSecret>(), Err(InvalidSecret), "{text}");
        }
    }

    #[test]
    fn the_secret_that_the_endpoint_knows_signs_through_several_rotations() {
        let now = DateTime::UNIX_EPOCH;
        let hour = TimeDelta::hours(1);
        let first = Confidential::new(Headers::default());
        let known = first.secret.clone();
        let second = first.rotated(Some(now + hour * 24), now);
        assert_eq!(second.signing(now).collect::<Vec<_>>(), [&second.secret, &known]);
        // Nobody has seen the second secret.
        let third = second.rotated(Some(now + hour * 25), now + hour);
        let signing: Vec<_> = third.signing(now + hour).collect();
        assert_eq!(signing, [&third.secret, &second.secret, &known]);
        assert_eq!(third.earlier_until(now + hour), Some(now + hour * 25));
        let fourth = third.rotated(Some(now + hour * 26), now + hour * 2);
        let signing: Vec<_> = fourth.signing(now + hour * 2).collect();
        assert_eq!(
            signing,
            [&fourth.secret, &third.secret, &known],
            "two earlier ones at most"
        );
        assert_eq!(
            fourth.signing(now + hour * 26).collect::<Vec<_>>(),
            [&fourth.secret]
        );
        assert_eq!(fourth.earlier_until(now + hour * 26), None);
        let at_once = fourth.rotated(None, now + hour * 3);
        assert_eq!(
            at_once.signing(now + hour * 3).collect::<Vec<_>>(),
            [&at_once.secret]
        );
    }
}
