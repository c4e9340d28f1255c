//! Values that must not be shown.

use std::fmt;

use super::{ConfigError, Lookup, problem};

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

/// Where the secrets of access tokens are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwtSecrets {
    /// Here. The first signs.
    Given(Vec<JwtSecret>),
    /// In a secret of Secrets Manager, which has this ARN.
    Kept(String),
}

impl JwtSecrets {
    /// What the environment says; `None` where it says nothing.
    pub(super) fn read(get: Lookup<'_>) -> Result<Option<Self>, ConfigError> {
        const ARN: &str = "WAXWING_JWT_SECRET_ARN";
        match (get("WAXWING_JWT_SECRET"), get(ARN)) {
            (Some(secrets), None) => Ok(Some(Self::Given(JwtSecret::read_all(&secrets)?))),
            (None, Some(arn)) if is_of_secret(&arn) => Ok(Some(Self::Kept(arn))),
            (None, Some(_)) => Err(problem(
                ARN,
                "must be the ARN of a secret, such as `arn:aws:secretsmanager:<region>:<account>:secret:<name>`",
            )),
            (Some(_), Some(_)) => Err(problem(ARN, "cannot be set beside WAXWING_JWT_SECRET")),
            (None, None) => Ok(None),
        }
    }
}

fn is_of_secret(arn: &str) -> bool {
    let parts: Vec<_> = arn.splitn(7, ':').collect();
    matches!(
        parts[..],
        ["arn", _, "secretsmanager", region, account, "secret", name]
            if !region.is_empty() && !account.is_empty() && !name.is_empty()
    )
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
    /// Several, separated by commas: the first signs.
    ///
    /// # Errors
    /// Where one of them is too short. The error does not have it.
    pub fn read_all(text: &str) -> Result<Vec<Self>, ConfigError> {
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
