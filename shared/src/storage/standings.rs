//! Whether many who were let in before may still be: keys, pairing links, sessions, users and subscriptions, read in batches.
//!
//! The realtime feed asks that every few seconds of all whose sockets are open. What is asked for twice is read once.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::{subscription_from_item, user_from_item};
use super::api_keys::grant_from_item;
use super::error::StorageError;
use super::instances::{PairingLink, linked_from_item};
use super::item::{Item, Reader};
use super::keys::{self, Key};
use super::sessions::session_from_item;
use super::table::Table;
use crate::auth::api_key::Grant;
use crate::auth::pairing_link::PairingTokenHash;
use crate::auth::session::Session;
use crate::domain::account::{Subscription, User};
use crate::ids::{InstanceId, SubscriptionId, UserId};

/// What somebody was let in with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Credential {
    /// An API key.
    Key {
        /// The hash of its secret.
        hash: String,
        /// The subscription of its instance.
        subscription: SubscriptionId,
    },
    /// A pairing link.
    Link {
        /// The hash of its token.
        hash: Vec<u8>,
        /// The instance that it is for.
        instance: InstanceId,
        /// Who made it.
        maker: UserId,
        /// The instance's subscription.
        subscription: SubscriptionId,
    },
    /// An access token.
    Login {
        /// The session that it names.
        session: String,
        /// The user.
        user: UserId,
        /// The user's subscription.
        subscription: SubscriptionId,
    },
}

/// What the table says of a [`Credential`], a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Of an API key.
    Key {
        /// What it grants; `None` where there is no such key.
        grant: Option<Grant>,
        /// Its subscription.
        subscription: Option<Subscription>,
    },
    /// Of a pairing link. Nothing here says whether its time is over.
    Link {
        /// The link; `None` where it is gone, another one has its place, or its instance is paired.
        link: Option<PairingLink>,
        /// Who made it.
        maker: Option<User>,
        /// The instance's subscription.
        subscription: Option<Subscription>,
    },
    /// Of an access token. Nothing here says whether the session's time is over.
    Login {
        /// The session; `None` where it has ended.
        session: Option<Session>,
        /// The user.
        user: Option<User>,
        /// The user's subscription.
        subscription: Option<Subscription>,
    },
}

impl Credential {
    fn keys(&self) -> Vec<Key> {
        match self {
            Self::Key { hash, subscription } => {
                vec![keys::api_key(hash), keys::subscription(*subscription)]
            }
            Self::Link {
                instance,
                maker,
                subscription,
                ..
            } => vec![
                keys::instance(*instance),
                keys::user(*subscription, *maker),
                keys::subscription(*subscription),
            ],
            Self::Login {
                session,
                user,
                subscription,
            } => vec![
                keys::session(session),
                keys::user(*subscription, *user),
                keys::subscription(*subscription),
            ],
        }
    }
}

/// The standings of the table.
#[derive(Debug, Clone)]
pub struct Standings {
    table: Table,
}

impl Standings {
    /// The standings of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// What the table says of each of these. An item that cannot be read is an error of whom it is of alone. One request and
    /// 50 read units for each hundred items at most; a key is two items, a link or a login three, and what several share is read once.
    pub async fn of(
        &self,
        credentials: &BTreeSet<Credential>,
    ) -> Result<BTreeMap<Credential, Result<Standing, StorageError>>, StorageError> {
        let wanted = credentials.iter().flat_map(Credential::keys);
        let wanted: BTreeMap<String, Key> = wanted.map(|key| (key.path(), key)).collect();
        let wanted: Vec<Key> = wanted.into_values().collect();
        let mut found = BTreeMap::new();
        for item in self.table.get_many_recent(&wanted).await? {
            let read = Reader::new("item", &item);
            let key = Key::new(read.str("pk")?, read.str("sk")?);
            found.insert(key.path(), item);
        }
        let item = |key: &Key| found.get(&key.path());
        let standings = credentials
            .iter()
            .map(|credential| (credential.clone(), standing(credential, &item)));
        Ok(standings.collect())
    }
}

fn standing<'a>(
    credential: &Credential,
    item: &impl Fn(&Key) -> Option<&'a Item>,
) -> Result<Standing, StorageError> {
    match credential {
        Credential::Key { hash, subscription } => {
            // An item that expiry has removed comes back with nothing but the revocation.
            let grant = item(&keys::api_key(hash)).filter(|item| item.contains_key("id"));
            Ok(Standing::Key {
                grant: grant.map(grant_from_item).transpose()?,
                subscription: item(&keys::subscription(*subscription))
                    .map(subscription_from_item)
                    .transpose()?,
            })
        }
        Credential::Link {
            hash,
            instance,
            maker,
            subscription,
        } => {
            let linked = match (
                PairingTokenHash::from_stored(hash),
                item(&keys::instance(*instance)),
            ) {
                (Some(hash), Some(item)) => linked_from_item(item, &hash)?,
                _ => None,
            };
            let unpaired = linked.filter(|(instance, _)| instance.account.is_none());
            Ok(Standing::Link {
                link: unpaired.map(|(_, link)| link),
                maker: item(&keys::user(*subscription, *maker))
                    .map(user_from_item)
                    .transpose()?,
                subscription: item(&keys::subscription(*subscription))
                    .map(subscription_from_item)
                    .transpose()?,
            })
        }
        Credential::Login {
            session,
            user,
            subscription,
        } => Ok(Standing::Login {
            session: item(&keys::session(session))
                .map(|item| session_from_item(session, item))
                .transpose()?,
            user: item(&keys::user(*subscription, *user))
                .map(user_from_item)
                .transpose()?,
            subscription: item(&keys::subscription(*subscription))
                .map(subscription_from_item)
                .transpose()?,
        }),
    }
}
