//! Where a page of a list ends that WhatsApp gives as a whole: the time of its last entry, and the entry's name.

use std::fmt;
use std::str::FromStr;

use shared::domain::recipient::{InvalidRecipient, Recipient};

/// The last entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its time, in Unix seconds.
    pub at: i64,
    /// What it is.
    pub name: Recipient,
}

impl Place {
    /// As an ask takes it.
    pub fn parts(self) -> (i64, Recipient) {
        (self.at, self.name)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.name.to_jid())
    }
}

impl FromStr for Place {
    type Err = InvalidRecipient;

    fn from_str(text: &str) -> Result<Self, InvalidRecipient> {
        let (at, name) = text.split_once(' ').ok_or(InvalidRecipient)?;
        Ok(Self {
            at: at.parse().map_err(|_| InvalidRecipient)?,
            name: name.parse()?,
        })
    }
}
