//! Sessions: what a login begins and a logout ends. A session is known by its name, which
//! access tokens carry, and is kept alive by refresh tokens, each of them good for one use.
//!
//! A refresh token is what its session's name is made from, and a secret. The store keeps one item a session
//! with the hash of the one secret that is good now: whoever comes with another had a token
//! that was used before, and the session ends, since one of the two is a thief.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::{random_letters, sha256_hex};
use crate::ids::{SubscriptionId, UserId};

/// How long a session lives after its last refresh.
pub const LIFETIME: TimeDelta = TimeDelta::days(30);

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

    /// The first token of a new session, or the next of one.
    pub fn generate(before: Option<&Self>) -> Self {
        let name = before.map_or_else(|| random_letters(NAME), |token| token.0[..NAME].to_owned());
        Self(name + &random_letters(SECRET))
    }

    /// The token that this text is; `None` for one that cannot be ours.
    pub fn parse(text: &str) -> Option<Self> {
        let ours = text.len() == Self::LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        ours.then(|| Self(text.to_owned()))
    }

    /// The text for the one who logged in.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The name of its session: a hash, so that an access token, which shows it, does not lead back to the beginning of
    /// a refresh token.
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
        let first = RefreshToken::generate(None);
        let next = RefreshToken::generate(Some(&first));
        assert_eq!(first.session(), next.session());
        assert_ne!(first.hash(), next.hash());
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
