//! Subscriptions, which are the tenants, and their users.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::text_enum;
use crate::auth::password::PasswordHash;
use crate::ids::{SubscriptionId, UserId};

text_enum! {
    /// What a user may do beyond its own subscription.
    Role {
        /// Everything, in every subscription.
        Administrator = "ADMINISTRATOR",
        /// Its own subscription.
        User = "USER",
    }
}

text_enum! {
    /// How much a subscription may use.
    Tier {
        /// What everyone begins with.
        Basic = "BASIC",
        /// More of it.
        Pro = "PRO",
        /// Most of it.
        Max = "MAX",
    }
}

impl Tier {
    /// How many instances a subscription of this tier may have.
    pub const fn instances(self) -> u32 {
        match self {
            Self::Basic => 5,
            Self::Pro => 20,
            Self::Max => 40,
        }
    }

    /// How many messages a subscription of this tier may send in a calendar month (UTC).
    pub const fn messages_per_month(self) -> u32 {
        match self {
            Self::Basic => 10_000,
            Self::Pro => 50_000,
            Self::Max => 100_000,
        }
    }
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Its first user, who invites and removes the others.
    pub owner: UserId,
    /// Its tier.
    pub tier: Tier,
    /// Whether it may be used.
    pub active: bool,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

impl Subscription {
    /// Whether it serves this user of it. One that is switched off serves only administrators, who are the ones to switch it
    /// on.
    pub fn serves(&self, user: &User) -> bool {
        self.active || user.is_active_administrator()
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The one subscription it belongs to.
    pub subscription: SubscriptionId,
    /// Its e-mail address, which no other user has.
    pub email: EmailAddress,
    /// Its name.
    pub name: PersonName,
    /// Its role.
    pub role: Role,
    /// Whether it may log in.
    pub active: bool,
    /// When the e-mail address was shown to be the user's own.
    pub email_verified_at: Option<DateTime<Utc>>,
    /// Raised whenever the password changes or all sessions are to end.
    pub credentials: u64,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

impl User {
    /// Whether it is one of those who were made members by an invitation, as invitations once did, and has not accepted.
    pub fn never_came(&self, password: Option<&PasswordHash>) -> bool {
        // Who has ever had a password has later credentials.
        password.is_none() && self.credentials == 1 && self.email_verified_at.is_none()
    }

    /// Whether it may do what administrators may.
    pub fn is_active_administrator(&self) -> bool {
        self.active && self.role == Role::Administrator
    }
}

/// An e-mail address as its owner writes it. Two that differ in case alone are one address.
#[derive(Clone)]
pub struct EmailAddress(String);

/// A text that is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, such as name@example.com")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// As its owner writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which addresses are compared.
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for EmailAddress {}

/// Addresses stay out of logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    /// Takes the addresses of RFC 5321 that people have: ASCII, no quoted local part, a
    /// domain of two labels or more, 254 characters at most.
    fn from_str(text: &str) -> Result<Self, InvalidEmailAddress> {
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmailAddress)?;
        let is_atom_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        let local_is_fine = local.len() <= 64
            && local
                .split('.')
                .all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte));
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let domain_is_fine = domain.contains('.') && domain.split('.').all(is_label);
        if text.len() <= 254 && local_is_fine && domain_is_fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidEmailAddress)
        }
    }
}

/// The name of a person or of a thing that people name: 1 to 100 characters without control
/// characters or space around them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonName(String);

/// A text that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 100 characters, and no control characters")]
pub struct InvalidPersonName;

impl PersonName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PersonName {
    type Err = InvalidPersonName;

    fn from_str(text: &str) -> Result<Self, InvalidPersonName> {
        let name = text.trim();
        let length = name.chars().count();
        if (1..=100).contains(&length) && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidPersonName)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_without_case() {
        let one: EmailAddress = "Ada.Lovelace+x@Example.com".parse().expect("an address");
        let other: EmailAddress = "ada.lovelace+x@example.COM".parse().expect("an address");
        assert_eq!(one, other);
        assert_eq!(one.canonical(), other.canonical());
        assert_eq!(one.as_str(), "Ada.Lovelace+x@Example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada..l@example.com",
            ".ada@example.com",
            "ada@-example.com",
            "ada@example..com",
            "a b@example.com",
            "ada@exämple.com",
            "a@b@example.com",
            &format!("{}@example.com", "a".repeat(65)),
        ] {
            assert_eq!(text.parse::<EmailAddress>(), Err(InvalidEmailAddress), "{text}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(" Ada ".parse::<PersonName>().expect("a name").as_str(), "Ada");
        for text in ["", "  ", "a\u{7}b", &"a".repeat(101)] {
            assert_eq!(text.parse::<PersonName>(), Err(InvalidPersonName), "{text:?}");
        }
    }
}
