//! Refresh tokens: opaque, stored only as a hash, each good for one use. All tokens that
//! descend from one login are a family, which is revoked as a whole.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::{random_letters, sha256_hex};
use crate::ids::{SubscriptionId, UserId};

/// How long a refresh token lives.
pub const LIFETIME: TimeDelta = TimeDelta::days(30);

/// 43 letters and digits: 256 bits.
const LENGTH: usize = 43;

/// A refresh token as its holder has it. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// A new token.
    pub fn generate() -> Self {
        Self(random_letters(LENGTH))
    }

    /// The text for the one who logged in.
    pub fn reveal(&self) -> &str {
        &self.0
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

/// What the store keeps of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub user: UserId,
    /// The user's subscription.
    pub subscription: SubscriptionId,
    /// The login that it descends from.
    pub family: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Until when it can be used.
    pub expires_at: DateTime<Utc>,
}

impl Session {
    /// A new login's, with a family of its own.
    pub fn begin(user: UserId, subscription: SubscriptionId, now: DateTime<Utc>) -> Self {
        Self {
            user,
            subscription,
            family: random_letters(22),
            created_at: now,
            expires_at: now + LIFETIME,
        }
    }
}
