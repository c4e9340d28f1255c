//! What a request with an API key is let in by: the key, its subscription and, where the request needs it, its instance.
//!
//! A key's item says whose it is, so the first request of a key in a process reads one after the other. Whose it is never
//! changes: an instance stays with its subscription, and a secret that takes another's place has a hash of its own. So a process
//! remembers the names behind a hash, and asks for all items in one request from then on. It remembers names alone. What
//! the key grants, whether its subscription is active and how its instance is are read each time.

use std::sync::{Arc, Mutex, PoisonError};

use super::{ApiKeys, grant_from_item};
use crate::auth::api_key::{Grant, KeySecret};
use crate::domain::account::Subscription;
use crate::domain::instance::Instance;
use crate::ids::{InstanceId, SubscriptionId};
use crate::recent::Recent;
use crate::storage::accounts::subscription_from_item;
use crate::storage::batch::take;
use crate::storage::error::StorageError;
use crate::storage::instances::of_subscription;
use crate::storage::keys;

/// Secrets of which a process remembers whose they are: so many at least, and twice as many at most.
const REMEMBERED: usize = 2_048;

/// What is known of a key, as it was a moment ago.
#[derive(Debug, Clone)]
pub struct Admission {
    /// What it grants.
    pub grant: Grant,
    /// Its subscription; `None` where that did not come with the key, and has to be read by itself.
    pub subscription: Option<Subscription>,
    /// Its instance, where that was asked for; `None` where it did not come with the key, and has to be read by itself.
    pub instance: Option<Box<Instance>>,
}

/// Whose a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Names {
    subscription: SubscriptionId,
    instance: InstanceId,
}

/// Whose the keys are that a process has met, by the hashes of their secrets.
#[derive(Debug, Clone)]
pub(super) struct Known(Arc<Mutex<Recent<String, Names>>>);

impl Default for Known {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Recent::new(REMEMBERED))))
    }
}

impl Known {
    fn get(&self, hash: &str) -> Option<Names> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).copied()
    }

    fn learn(&self, hash: String, names: Names) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(hash, names);
    }
}

impl Names {
    fn of(grant: &Grant) -> Self {
        Self {
            subscription: grant.subscription,
            instance: grant.instance,
        }
    }
}

impl ApiKeys {
    /// What is known of the key with this secret; `None` where there is no such key. One request, and half a read unit for the
    /// key, for its subscription and for its instance. A process that has not met the key reads the key alone, as
    /// [`ApiKeys::grant`] does.
    pub async fn admission(
        &self,
        secret: &KeySecret,
        with_instance: bool,
    ) -> Result<Option<Admission>, StorageError> {
        let hash = secret.hash();
        if let Some(names) = self.known.get(&hash)
            && let Some(admission) = self.admission_of(&hash, names, with_instance).await?
        {
            return Ok(Some(admission));
        }
        let Some(grant) = self.granted_to(&hash).await? else {
            return Ok(None);
        };
        self.known.learn(hash, Names::of(&grant));
        Ok(Some(Admission {
            grant,
            subscription: None,
            instance: None,
        }))
    }

    /// The same in one request, by the names of a key that this process has met. `None` where the key did not come, or names
    /// others.
    async fn admission_of(
        &self,
        hash: &str,
        names: Names,
        with_instance: bool,
    ) -> Result<Option<Admission>, StorageError> {
        let key = keys::api_key(hash);
        let subscription = keys::subscription(names.subscription);
        let instance = keys::instance(names.instance);
        let wanted = [key, subscription, instance];
        let asked = if with_instance { &wanted[..] } else { &wanted[..2] };
        let mut found = self.table.get_some_recent(asked).await?;
        let [key, subscription, instance] = wanted.each_ref().map(|key| take(&mut found, key));
        // An item that expiry has removed comes back with nothing but the revocation.
        let Some(key) = key.filter(|item| item.contains_key("id")) else {
            return Ok(None);
        };
        let grant = grant_from_item(&key)?;
        if Names::of(&grant) != names {
            return Ok(None);
        }
        // What did not come or cannot be read is read again by whoever needs it, and is that one's error.
        let subscription = subscription.and_then(|item| subscription_from_item(&item).ok());
        let instance = of_subscription(names.subscription, instance.as_ref());
        Ok(Some(Admission {
            grant,
            subscription,
            instance: instance.ok().flatten().map(Box::new),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::network::Network;

    fn names(byte: u8) -> Names {
        Names {
            subscription: SubscriptionId::from_bytes([byte; 16]),
            instance: InstanceId::from_bytes([byte; 16]),
        }
    }

    #[test]
    fn so_many_keys_are_remembered_and_what_is_used_stays() {
        let known = Known::default();
        known.learn("used".to_owned(), names(1));
        for number in 0..5 * REMEMBERED {
            known.learn(number.to_string(), names(2));
            assert_eq!(known.get("used"), Some(names(1)), "after {number}");
        }
        let held = known.0.lock().expect("no holder panics").len();
        assert!(held <= 4_096, "{held}");
        assert_eq!(known.get("0"), None);
        assert_eq!(known.get(&(5 * REMEMBERED - 1).to_string()), Some(names(2)));
    }

    #[test]
    fn what_is_learnt_last_counts_and_no_hash_shows() {
        let known = Known::default();
        let hash = KeySecret::generate(Network::Live).hash();
        known.learn(hash.clone(), names(1));
        known.clone().learn(hash.clone(), names(2));
        assert_eq!(known.get(&hash), Some(names(2)));
        assert!(!format!("{known:?}").contains(&hash[..8]));
    }
}
