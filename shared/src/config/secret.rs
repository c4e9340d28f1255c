//! Values that must not be shown.

use std::fmt;

use super::{ConfigError, problem};

/// A value that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret that signs or checks access tokens, with the name that tokens carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSecret {
    /// The token header's `kid`.
    pub kid: String,
    /// The secret, 32 bytes or more (RFC 7518, 3.2).
    pub secret: Secret,
}

impl JwtSecret {
    /// Several, separated by commas.
    pub(super) fn read_all(text: &str) -> Result<Vec<Self>, ConfigError> {
        text.split(',').map(Self::read).collect()
    }

    /// `kid:secret`, or a secret alone.
    fn read(text: &str) -> Result<Self, ConfigError> {
        let (kid, secret) = text.trim().split_once(':').unwrap_or(("1", text.trim()));
        if secret.len() < 32 {
            return Err(problem("WAXWING_JWT_SECRET", "must have 32 bytes or more"));
        }
        Ok(Self {
            kid: kid.to_owned(),
            secret: Secret::new(secret),
        })
    }
}
