//! Passwords: prepared as RFC 8265 has it and hashed with bcrypt. A check takes as long whether an account exists or
//! not.
//!
//! The same password reaches us in different bytes: one keyboard sends `é` as one code point, another as a letter and an
//! accent. So a password is prepared by the rules of the PRECIS profile `OpaqueString` (RFC 8265, section 4.2) before
//! it is hashed: spaces outside ASCII become U+0020, the text is brought into Unicode's normalization form C, and
//! control characters are refused. Two rules of the profile are left out. It refuses code points that its Unicode
//! version has not assigned, but such tables age; and it refuses joiners by their context, but emoji are made with
//! joiners.
//!
//! Older hashes are of the bytes as they were sent. A hash does not tell which kind it is, so a text that preparation
//! changes is tried in both forms, at the same time. How much is tried depends on the offered text alone, never on
//! the account, so the time tells nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use unicode_normalization::UnicodeNormalization as _;

/// The fewest characters (code points) of a new password, after its preparation.
pub(crate) const FEWEST_CHARACTERS: usize = 8;

/// bcrypt reads 72 bytes and no more: a longer password would be cut without a word.
pub(crate) const MOST_BYTES: usize = 72;

/// bcrypt's cost where the configuration names none.
pub const DEFAULT_COST: u32 = 12;

/// The lowest and the highest cost that bcrypt knows.
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;

/// Characters of the salt (22) and the hash (31) in a hash's text form.
const SALT_AND_HASH: usize = 53;

/// A text that is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// It is too short or too long.
    #[error("must have 8 characters at least and 72 bytes of UTF-8 at most")]
    Length,
    /// It has the character NUL, at which bcrypt would end.
    #[error("must not contain the character NUL (U+0000)")]
    Nul,
    /// It has another control character.
    #[error("must not contain control characters, such as tab or line feed")]
    Control,
}

/// A new password, prepared and of acceptable length. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

impl FromStr for NewPassword {
    type Err = InvalidPassword;

    fn from_str(text: &str) -> Result<Self, InvalidPassword> {
        let prepared = prepare(text)?;
        let is_long_enough = prepared.chars().count() >= FEWEST_CHARACTERS;
        if is_long_enough && prepared.len() <= MOST_BYTES {
            Ok(Self(prepared))
        } else {
            Err(InvalidPassword::Length)
        }
    }
}

/// The one form of a password that may be written in several.
fn prepare(text: &str) -> Result<String, InvalidPassword> {
    if text.contains('\0') {
        return Err(InvalidPassword::Nul);
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidPassword::Control);
    }
    if text.is_ascii() {
        return Ok(text.to_owned());
    }
    let spaced = text
        .chars()
        .map(|letter| if is_space(letter) { ' ' } else { letter });
    Ok(spaced.nfc().collect())
}

/// Unicode's category `Zs`.
fn is_space(letter: char) -> bool {
    matches!(
        letter,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword")
    }
}

/// What someone offers as a password. It may be of any length, since wrong ones are. Never shown.
#[derive(Clone)]
pub struct OfferedPassword(String);

impl<'de> Deserialize<'de> for OfferedPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl OfferedPassword {
    /// A password of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// This password as a new one.
    pub fn to_new(&self) -> Result<NewPassword, InvalidPassword> {
        self.0.parse()
    }

    /// The texts whose hash may be stored, if this is the right password: its prepared form, and its bytes as they
    /// are where they differ. `None` stands for a text that no hash can be of; it takes as long all the same.
    fn candidates(self) -> Vec<Option<String>> {
        // bcrypt would take a longer password for its first 72 bytes, and end at a NUL.
        let fitting =
            |text: String| Some(text).filter(|text| text.len() <= MOST_BYTES && !text.contains('\0'));
        match prepare(&self.0) {
            Ok(prepared) if prepared == self.0 => vec![fitting(prepared)],
            Ok(prepared) => vec![fitting(prepared), fitting(self.0)],
            // A password from before preparation may be one of these.
            Err(InvalidPassword::Nul | InvalidPassword::Control | InvalidPassword::Length) => {
                vec![fitting(self.0)]
            }
        }
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

/// bcrypt failed: the cost is out of range, or the stored text is no hash.
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
        let has_hash = hash.is_some();
        let hash = hash.map_or_else(|| self.decoy(), |hash| hash.0.clone());
        let tries = password.candidates().into_iter().map(|candidate| {
            let hash = hash.clone();
            async move {
                let may_match = candidate.is_some();
                let text = candidate.unwrap_or_default();
                let equal = on_a_blocking_thread(move || bcrypt::verify(text, &hash)).await?;
                Ok::<_, PasswordError>(equal && may_match)
            }
        });
        let answers = futures::future::try_join_all(tries).await?;
        Ok(has_hash && answers.contains(&true))
    }

    /// A well-formed hash of the same cost. Its password is unknown and does not matter, since the answer is not
    /// used.
    fn decoy(&self) -> String {
        // In bcrypt's base64 a dot is zero, so salt and hash are all zero bits.
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
        assert_eq!(longer.parse::<NewPassword>(), Err(InvalidPassword::Length));
    }

    #[test]
    fn a_new_password_is_measured_in_characters_and_has_no_controls() {
        let fault = |text: &str| text.parse::<NewPassword>().expect_err("no password");
        for short in ["", "1234567", "\u{1f511}\u{1f512}", &"e\u{301}".repeat(7)] {
            assert_eq!(fault(short), InvalidPassword::Length, "{short:?}");
        }
        assert_eq!(fault("12345678\0more"), InvalidPassword::Nul);
        for control in ['\t', '\n', '\u{7f}', '\u{85}'] {
            assert_eq!(fault(&format!("12345678{control}")), InvalidPassword::Control);
        }
        for fine in ["12345678", &"\u{1f511}".repeat(8), &"e\u{301}".repeat(36)] {
            assert!(fine.parse::<NewPassword>().is_ok(), "{fine:?}");
        }
    }

    #[test]
    fn the_ways_to_write_a_password_are_one() {
        let same = |one: &str, other: &str| {
            let new = |text: &str| text.parse::<NewPassword>().expect("a password");
            assert!(new(one) == new(other), "{one:?} {other:?}");
        };
        same("caf\u{e9} au lait", "cafe\u{301} au lait");
        same("\u{1100}\u{1161}12345678", "\u{ac00}12345678");
        same("1234\u{a0}5678", "1234 5678");
        same("1234\u{3000}5678", "1234 5678");
        // Compatibility variants are other characters, as RFC 8265 has it, and so is another case.
        assert!("\u{ff11}2345678".parse::<NewPassword>() != "12345678".parse::<NewPassword>());
        assert!("Password".parse::<NewPassword>() != "password".parse::<NewPassword>());
    }

    #[tokio::test]
    async fn hashes_of_unprepared_bytes_are_opened_by_those_bytes() {
        let passwords = Passwords::new(4);
        for old in [
            "cafe\u{301} au lait",
            "1234\u{a0}5678",
            "\u{1f511}\u{1f512}",
            "tab\there",
        ] {
            let hash = PasswordHash(bcrypt::hash(old, 4).expect("hashes"));
            assert!(
                passwords
                    .verify(offered(old), Some(&hash))
                    .await
                    .expect("verifies"),
                "{old:?}"
            );
        }
        // What came before a NUL opens nothing with it.
        let hash = PasswordHash(bcrypt::hash("12345678", 4).expect("hashes"));
        let offered = offered("12345678\0more");
        assert!(!passwords.verify(offered, Some(&hash)).await.expect("verifies"));
    }

    #[test]
    fn how_much_is_tried_depends_on_the_text_alone() {
        let tries = |text: &str| offered(text).candidates().len();
        for text in ["", "correct horse", &"x".repeat(200), "caf\u{e9}", "a\0b"] {
            assert_eq!(tries(text), 1, "{text:?}");
        }
        assert_eq!(tries("cafe\u{301}"), 2);
        assert_eq!(tries(&"e\u{301}".repeat(100)), 2);
    }
}
