//! Whom a fault befalls.

use serde::{Deserialize, Serialize};

use crate::directory::Address;

/// Whose connections it strikes. Exactly one of `phone`, `client` and `all`; `device` goes with `phone`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The number of an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// One companion of that account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u16>,
    /// One connection, by its number in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<u64>,
    /// Everyone, also those that are not linked yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

impl Target {
    /// Everyone.
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// The companions of one account.
    pub fn phone(phone: impl Into<String>) -> Self {
        Self {
            phone: Some(phone.into()),
            ..Self::default()
        }
    }

    pub(super) fn covers(&self, subject: Subject<'_>) -> bool {
        if self.all {
            return true;
        }
        if let Some(client) = self.client {
            return client == subject.client;
        }
        subject.address.is_some_and(|address| {
            self.phone.as_deref() == Some(address.phone.as_str())
                && self.device.is_none_or(|device| device == address.device)
        })
    }
}

/// A connection as the rules see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The number of the connection.
    pub(crate) client: u64,
    /// The device, once it has said which.
    pub(crate) address: Option<&'a Address>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_cover_whom_they_name() {
        let address = Address::new("155501000001", 2);
        let linked = Subject {
            client: 7,
            address: Some(&address),
        };
        let stranger = Subject {
            client: 8,
            address: None,
        };
        let one = Target {
            device: Some(2),
            ..Target::phone("155501000001")
        };
        let other = Target {
            device: Some(1),
            ..Target::phone("155501000001")
        };
        let client = Target {
            client: Some(8),
            ..Target::default()
        };
        for (target, expected) in [
            (Target::all(), (true, true)),
            (Target::phone("155501000001"), (true, false)),
            (Target::phone("155501000002"), (false, false)),
            (one, (true, false)),
            (other, (false, false)),
            (client, (false, true)),
        ] {
            assert_eq!(
                (target.covers(linked), target.covers(stranger)),
                expected,
                "{target:?}"
            );
        }
    }
}
