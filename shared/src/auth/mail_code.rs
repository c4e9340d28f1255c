//! Single-use codes sent by e-mail: opaque, stored only as a hash.

use std::fmt;

use super::{random_letters, sha256_hex};

/// 43 letters and digits: 256 bits.
pub(crate) const LENGTH: usize = 43;

/// A code as its recipient has it. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct MailCode(String);

impl MailCode {
    /// A new code.
    pub fn generate() -> Self {
        Self(random_letters(LENGTH))
    }

    /// The code in this text; `None` for a text that cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let ours = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        ours.then(|| Self(text.to_owned()))
    }

    /// The text for the mail.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the store knows it by.
    pub fn hash(&self) -> String {
        sha256_hex(&self.0)
    }
}

impl fmt::Debug for MailCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailCode")
    }
}
