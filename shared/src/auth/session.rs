//! Sessions: what a login begins and a logout ends. A session is known by its name, which access tokens carry, and is
//! kept alive by refresh tokens, each of them good for one use.
//!
//! A refresh token has two parts: the text from which its session's name is made, and a secret. The store keeps one
//! item a session, with the hash of the one secret that is good now. Whoever comes with another secret has a token
//! that was used before. Then the session ends, since one of its two users is a thief.
//!
//! There is one exception, for two tabs with one token and for lost answers: within [`GRACE`] the token that was just
//! traded may come once more, and is given the same next token. A next token is made from the one before it and a
//! salt that the store keeps. Whoever has only one of the two cannot make it, and only one token is good at a time.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha512};

use super::{random_letters, sha256_hex};
use crate::ids::{SubscriptionId, UserId};

/// How long a session lives after its last refresh.
pub const LIFETIME: TimeDelta = TimeDelta::days(30);

/// How long the token that was just traded may be used once more.
pub const GRACE: TimeDelta = TimeDelta::seconds(30);

/// 22 letters and digits: 131 bits.
const NAME: usize = 22;

/// 43 letters and digits: 256 bits.
const SECRET: usize = 43;

/// A refresh token as its holder has it. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// Letters and digits of a token.
    pub(crate) const LENGTH: usize = NAME + SECRET;

    /// The first token of a new session.
    pub fn generate() -> Self {
        Self(random_letters(Self::LENGTH))
    }

    /// The token that follows this one, made with `salt`: always the same one.
    #[must_use]
    pub fn successor(&self, salt: &Salt) -> Self {
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let digest = Sha512::new()
            .chain_update(&salt.0)
            .chain_update(&self.0)
            .finalize();
        let letters = digest
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
        Self(self.0[..NAME].chars().chain(letters.take(SECRET)).collect())
    }

    /// The token in this text; `None` for a text that cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let ours = text.len() == Self::LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        ours.then(|| Self(text.to_owned()))
    }

    /// The text for the one who logged in.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The name of its session. It is a hash: access tokens show it, and must not tell the beginning of a refresh
    /// token.
    pub fn session(&self) -> String {
        sha256_hex(&self.0[..NAME])
    }

    /// What the store knows it by.
    pub fn hash(&self) -> String {
        sha256_hex(&self.0)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken")
    }
}

/// The store's part of the next token. It is of no use without the token before, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt(String);

impl Salt {
    /// A new salt.
    pub fn generate() -> Self {
        Self(random_letters(SECRET))
    }

    /// The salt that the store keeps as this text.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text that the store keeps.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

/// What the store keeps of a session besides its token's hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub user: UserId,
    /// The user's subscription.
    pub subscription: SubscriptionId,
    /// The version of the credentials that began it. A session of other credentials than
    /// the user's present ones is over.
    pub credentials: u64,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// Until when it can be refreshed.
    pub expires_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_its_session() {
        let first = RefreshToken::generate();
        let salt = Salt::generate();
        let next = first.successor(&salt);
        assert_eq!(first.session(), next.session());
        assert_ne!(first.hash(), next.hash());
        assert_eq!(RefreshToken::parse(next.reveal()), Some(next.clone()));
        assert_eq!(first.successor(&Salt::from_stored(salt.as_str())), next);
        assert_ne!(first.successor(&Salt::generate()), next);
        assert_ne!(next.successor(&salt), next);
        assert_eq!(RefreshToken::parse(first.reveal()), Some(first.clone()));
        for text in [
            "",
            &first.reveal()[1..],
            &format!("{}!", &first.reveal()[1..]),
            &first.reveal().replace(|_| true, "é"),
        ] {
            assert_eq!(RefreshToken::parse(text), None);
        }
    }
}
