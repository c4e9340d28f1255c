//! API keys: one key, one instance. The secret is shown once; the store has its hash.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::cidr::Cidr;
use super::{random_letters, sha256_hex};
use crate::domain::instance::InstanceName;
use crate::domain::network::Network;
use crate::domain::shard::Shard;
use crate::domain::text_enum;
use crate::ids::{InstanceId, KeyId, SubscriptionId};

/// Requests an hour that a key may make where its creator names no number.
pub const DEFAULT_RATE_LIMIT: u32 = 1_000;

/// Letters and digits behind a secret's beginning: 43 carry 256 bits.
const SECRET_LETTERS: usize = 43;

/// How many characters of a secret its owner sees in lists, to tell keys apart.
const PREFIX_LENGTH: usize = "wak_live_".len() + 6;

text_enum! {
    /// What a key may do.
    Scope {
        /// Send, edit and revoke messages.
        MessagesSend = "messages:send",
        /// Read messages' states.
        MessagesRead = "messages:read",
        /// Upload and delete media.
        MediaWrite = "media:write",
        /// Download incoming media.
        MediaRead = "media:read",
        /// Look contacts up.
        ContactsRead = "contacts:read",
        /// Block and unblock contacts.
        ContactsWrite = "contacts:write",
        /// Read groups.
        GroupsRead = "groups:read",
        /// Create and change groups.
        GroupsWrite = "groups:write",
        /// Typing, read marks, presence, and the state of chats.
        PresenceWrite = "presence:write",
        /// Read counters.
        StatsRead = "stats:read",
        /// Read the instance's own state.
        InstanceRead = "instance:read",
        /// Read the webhook.
        WebhookRead = "webhook:read",
        /// Change the webhook, which decides where all events go.
        WebhookWrite = "webhook:write",
    }
}

impl Scope {
    /// What a key gets whose creator names no scopes.
    pub fn defaults() -> BTreeSet<Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|scope| *scope != Self::WebhookWrite).collect()
    }
}

/// A key's secret, which only its creator is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret(String);

impl KeySecret {
    /// A new secret for an instance on `network`.
    pub fn generate(network: Network) -> Self {
        Self(format!(
            "{}{}",
            Self::beginning(network),
            random_letters(SECRET_LETTERS)
        ))
    }

    /// The secret in a request's token; `None` for a token that is no key.
    pub fn from_token(token: &str) -> Option<Self> {
        let is_key = Network::ALL
            .iter()
            .any(|network| token.starts_with(Self::beginning(*network)));
        is_key.then(|| Self(token.to_owned()))
    }

    const fn beginning(network: Network) -> &'static str {
        match network {
            Network::Live => "wak_live_",
            Network::Sandbox => "wak_test_",
        }
    }

    /// The whole secret, for its creator alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What lists show of it.
    pub fn prefix(&self) -> &str {
        &self.0[..PREFIX_LENGTH.min(self.0.len())]
    }

    /// What the store knows it by.
    pub fn hash(&self) -> String {
        sha256_hex(&self.0)
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret")
    }
}

/// All that a request needs to know of its key, in one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The key.
    pub key: KeyId,
    /// The one instance that it is for.
    pub instance: InstanceId,
    /// The instance's subscription.
    pub subscription: SubscriptionId,
    /// The instance's name.
    pub instance_name: InstanceName,
    /// The instance's network.
    pub network: Network,
    /// The instance's shard.
    pub shard: Shard,
    /// What the key may do.
    pub scopes: BTreeSet<Scope>,
    /// Where it may be used from; anywhere, if the list is empty.
    pub allowed_cidrs: Vec<Cidr>,
    /// Until when it may be used.
    pub expires_at: Option<DateTime<Utc>>,
    /// Requests an hour.
    pub rate_limit: u32,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Why a key that exists may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Its owner has revoked it.
    Revoked,
    /// Its time is over.
    Expired,
    /// It may not be used from this address.
    Address,
}

impl Grant {
    /// Whether the key may be used now and from this address. A key that is bound to
    /// addresses may not be used from one that is unknown.
    pub fn check(&self, now: DateTime<Utc>, from: Option<IpAddr>) -> Result<(), Unusable> {
        if self.revoked_at.is_some_and(|at| at <= now) {
            return Err(Unusable::Revoked);
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(Unusable::Expired);
        }
        let allowed = self.allowed_cidrs.is_empty()
            || from.is_some_and(|from| self.allowed_cidrs.iter().any(|cidr| cidr.contains(from)));
        if allowed { Ok(()) } else { Err(Unusable::Address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_beginning() {
        let secret = KeySecret::generate(Network::Sandbox);
        assert!(secret.reveal().starts_with("wak_test_"));
        assert_eq!(secret.reveal().len(), 9 + SECRET_LETTERS);
        assert_eq!(secret.prefix().len(), 15);
        assert_eq!(KeySecret::from_token(secret.reveal()), Some(secret.clone()));
        assert_eq!(KeySecret::from_token("eyJhbGciOiJIUzI1NiJ9.e30.x"), None);
        assert_ne!(KeySecret::generate(Network::Sandbox), secret);
        assert_eq!(format!("{secret:?}"), "KeySecret");
    }

    #[test]
    fn changing_the_webhook_is_no_default() {
        let defaults = Scope::defaults();
        assert_eq!(defaults.len(), Scope::ALL.len() - 1);
        assert!(!defaults.contains(&Scope::WebhookWrite));
    }

    #[test]
    fn a_grant_ends_with_revocation_and_time_and_holds_in_its_addresses() {
        let now = DateTime::UNIX_EPOCH;
        let grant = Grant {
            key: KeyId::new(now),
            instance: InstanceId::new(now),
            subscription: SubscriptionId::new(now),
            instance_name: "sales".parse().expect("a name"),
            network: Network::Live,
            shard: Shard(0),
            scopes: Scope::defaults(),
            allowed_cidrs: Vec::new(),
            expires_at: None,
            rate_limit: DEFAULT_RATE_LIMIT,
            revoked_at: None,
        };
        let at = |address: &str| Some(address.parse().expect("an address"));
        assert_eq!(grant.check(now, None), Ok(()));
        let revoked = Grant {
            revoked_at: Some(now),
            ..grant.clone()
        };
        assert_eq!(revoked.check(now, None), Err(Unusable::Revoked));
        let expired = Grant {
            expires_at: Some(now),
            ..grant.clone()
        };
        assert_eq!(expired.check(now, None), Err(Unusable::Expired));
        let bound = Grant {
            allowed_cidrs: vec!["192.0.2.0/24".parse().expect("a range")],
            ..grant
        };
        assert_eq!(bound.check(now, at("192.0.2.4")), Ok(()));
        assert_eq!(bound.check(now, at("192.0.3.4")), Err(Unusable::Address));
        assert_eq!(bound.check(now, None), Err(Unusable::Address));
    }
}
