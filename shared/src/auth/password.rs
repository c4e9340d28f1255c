//! Passwords: bcrypt, and the same time whether an account exists or not.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// bcrypt reads 72 bytes and no more: a longer password would be cut without a word.
pub(crate) const BYTES: std::ops::RangeInclusive<usize> = 8..=72;

/// bcrypt's cost where the configuration names none.
pub const DEFAULT_COST: u32 = 12;

/// The lowest and the highest cost that bcrypt knows.
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;

/// Characters of the salt (22) and the hash (31) in a hash's text form.
const SALT_AND_HASH: usize = 53;

/// A text that is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 8 to 72 bytes long")]
pub struct InvalidPassword;

/// A new password of acceptable length. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

impl FromStr for NewPassword {
    type Err = InvalidPassword;

    fn from_str(text: &str) -> Result<Self, InvalidPassword> {
        if BYTES.contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPassword)
        }
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword")
    }
}

/// What someone offers as a password: of any length, since a wrong one may be. Never shown.
#[derive(Clone)]
pub struct OfferedPassword(String);

impl<'de> Deserialize<'de> for OfferedPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl OfferedPassword {
    /// The password that this text is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// This password as a new one.
    pub fn to_new(&self) -> Result<NewPassword, InvalidPassword> {
        self.0.parse()
    }
}

impl fmt::Debug for OfferedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfferedPassword")
    }
}

/// A password's bcrypt hash in its usual text form. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash that the store keeps as this text.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text that the store keeps.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// bcrypt did not work: a cost out of range, or a stored hash that is none.
#[derive(Debug, thiserror::Error)]
#[error("bcrypt failed")]
pub struct PasswordError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Hashes and verifies passwords, off the asynchronous threads: one takes a quarter of a
/// second at the default cost.
#[derive(Debug, Clone)]
pub struct Passwords {
    cost: u32,
}

impl Passwords {
    /// With bcrypt's `cost`, held within what bcrypt knows (4 to 31).
    pub fn new(cost: u32) -> Self {
        Self {
            cost: cost.clamp(*COSTS.start(), *COSTS.end()),
        }
    }

    /// The hash of a new password.
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, PasswordError> {
        let cost = self.cost;
        on_a_blocking_thread(move || bcrypt::hash(&password.0, cost))
            .await
            .map(PasswordHash)
    }

    /// Whether `password` is the one behind `hash`. Without a hash, because there is no
    /// such account, it takes as long and answers `false`.
    pub async fn verify(
        &self,
        password: OfferedPassword,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, PasswordError> {
        // bcrypt would take a longer password for its first 72 bytes.
        let may_match = hash.is_some() && BYTES.contains(&password.0.len());
        let hash = hash.map_or_else(|| self.decoy(), |hash| hash.0.clone());
        let equal = on_a_blocking_thread(move || bcrypt::verify(&password.0, &hash)).await?;
        Ok(equal && may_match)
    }

    /// A well-formed hash of the same cost. What password it stands for is unknown and of
    /// no matter: its answer is not used.
    fn decoy(&self) -> String {
        // In bcrypt's base64 a dot is zero: salt and hash of nothing but zero bits.
        format!("$2b${:02}${}", self.cost, ".".repeat(SALT_AND_HASH))
    }
}

async fn on_a_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> bcrypt::BcryptResult<T> + Send + 'static,
) -> Result<T, PasswordError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| PasswordError(error.into()))?
        .map_err(|error| PasswordError(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(text: &str) -> OfferedPassword {
        OfferedPassword::new(text)
    }

    #[tokio::test]
    async fn a_password_is_verified_by_its_hash() {
        let passwords = Passwords::new(4);
        let hash = passwords
            .hash("correct horse".parse().expect("long enough"))
            .await
            .expect("hashes");
        assert!(
            passwords
                .verify(offered("correct horse"), Some(&hash))
                .await
                .expect("verifies")
        );
        assert!(
            !passwords
                .verify(offered("correct horsf"), Some(&hash))
                .await
                .expect("verifies")
        );
    }

    #[tokio::test]
    async fn without_an_account_the_decoy_is_worked_through() {
        let passwords = Passwords::new(4);
        assert!(
            !passwords
                .verify(offered("whatever it is"), None)
                .await
                .expect("the decoy is a well-formed hash")
        );
    }

    #[tokio::test]
    async fn no_byte_of_a_password_is_cut_off() {
        let passwords = Passwords::new(4);
        let longest = "ä".repeat(36);
        let hash = passwords
            .hash(longest.parse().expect("72 bytes"))
            .await
            .expect("hashes");
        assert!(
            passwords
                .verify(offered(&longest), Some(&hash))
                .await
                .expect("verifies")
        );
        let longer = format!("{longest}!");
        assert!(
            !passwords
                .verify(offered(&longer), Some(&hash))
                .await
                .expect("verifies")
        );
        assert_eq!(longer.parse::<NewPassword>(), Err(InvalidPassword));
        assert_eq!("1234567".parse::<NewPassword>(), Err(InvalidPassword));
    }
}
