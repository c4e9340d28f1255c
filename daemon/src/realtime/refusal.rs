//! Why somebody may not follow, or may not do what they ask: in the codes of the API.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Value, json};
use shared::auth::jwt::JwtError;
use shared::nature::Nature;
use shared::storage::StorageError;
use shared::telemetry::chain;
use tracing::warn;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// What a refusal is called: a code of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)+ }

        impl Code {
            /// Every code of the feed.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

codes! {
    /// A member is missing, unknown or not what it should be.
    ValidationError = "VALIDATION_ERROR",
    /// No token, or none that is accepted.
    Unauthenticated = "UNAUTHENTICATED",
    /// The access token's time is over.
    TokenExpired = "TOKEN_EXPIRED",
    /// The caller may not do this.
    Forbidden = "FORBIDDEN",
    /// The API key has none of the scopes that events need.
    InsufficientScope = "INSUFFICIENT_SCOPE",
    /// The API key may not be used from this address.
    IpNotAllowed = "IP_NOT_ALLOWED",
    /// The subscription is switched off.
    SubscriptionInactive = "SUBSCRIPTION_INACTIVE",
    /// There is no such instance, or it is another subscription's.
    NotFound = "NOT_FOUND",
    /// Too many sockets, too many connections or too many requests of one socket.
    RateLimited = "RATE_LIMITED",
    /// Something that is needed is not to be had now.
    Unavailable = "UNAVAILABLE",
    /// A fault of the service's own.
    Internal = "INTERNAL",
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// What it is called.
    pub code: Code,
    /// What it means, for people.
    pub message: Cow<'static, str>,
}

/// The code alone: a `connect_error` has one text, and programs go by it.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())
    }
}

impl Refusal {
    /// A refusal with a message for people.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Who it is cannot be told now.
    pub fn unavailable() -> Self {
        Self::new(
            Code::Unavailable,
            "The service cannot do this now; connect again later",
        )
    }

    /// The refusal as an answer to a request.
    pub fn body(&self) -> Value {
        json!({
            "success": false,
            "error": {"code": self.code.as_str(), "message": self.message},
        })
    }

    /// Whether the same may be let in later without doing anything about it: then the connection ends as a lost one does, and
    /// clients come back by themselves.
    pub fn passes(&self) -> bool {
        self.code == Code::Unavailable
    }
}

/// Nobody is let in whose standing cannot be read.
impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        if error.nature() != Nature::Transient {
            warn!(error = %chain(&error), "who wants to follow could not be read");
        }
        Self::unavailable()
    }
}

impl From<JwtError> for Refusal {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::Malformed => Self::new(Code::Unauthenticated, "The access token is malformed"),
            JwtError::BadSignature => Self::new(
                Code::Unauthenticated,
                "The access token was not signed by this service",
            ),
            JwtError::Expired => Self::new(Code::TokenExpired, "The access token has expired: refresh it"),
            // It was said when they were asked for.
            JwtError::Unavailable => Self::unavailable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_cannot_be_told_apart_yet_comes_back() {
        assert!(Refusal::from(JwtError::Unavailable).passes());
        assert!(!Refusal::from(JwtError::BadSignature).passes());
    }
}
