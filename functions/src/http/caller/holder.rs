//! Whoever calls with an API key, whatever its scope: what the key grants, and what was read with it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use shared::auth::api_key::Grant;
use shared::domain::account::Subscription;
use shared::domain::instance::Instance;
use shared::storage::StorageError;
use shared::storage::instances::Instances;

/// How long an instance that was read with its key counts as read a moment ago. A body may take its time, and so may a request
/// with many messages.
const FRESH: TimeDelta = TimeDelta::seconds(1);

/// Whoever calls with a valid API key of an active subscription.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    /// What the key grants.
    pub grant: Grant,
    /// The subscription of the key's instance: the tenant of all that the request does.
    pub subscription: Subscription,
    /// The key's instance, where it was read with the key.
    pub(super) instance: Option<Arc<Moment<Instance>>>,
}

/// Something that was read, and when.
#[derive(Debug)]
pub(super) struct Moment<T> {
    pub read: T,
    pub at: DateTime<Utc>,
}

impl<T> Moment<T> {
    /// What was read, while it is good.
    fn fresh(&self, now: DateTime<Utc>) -> Option<&T> {
        let is_fresh = (TimeDelta::zero()..FRESH).contains(&(now - self.at));
        is_fresh.then_some(&self.read)
    }
}

impl KeyHolder {
    /// The key's instance as it was a moment ago. Half a read unit where it did not come with the key, or came a
    /// second ago or more.
    pub async fn recent_instance(
        &self,
        instances: &Instances,
        now: DateTime<Utc>,
    ) -> Result<Option<Instance>, StorageError> {
        let read = self.instance.as_deref();
        if let Some(instance) = read.and_then(|read| read.fresh(now)) {
            return Ok(Some(instance.clone()));
        }
        instances
            .get_recent(self.subscription.id, self.grant.instance)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_good_for_a_second() {
        let at = DateTime::UNIX_EPOCH;
        let moment = Moment { read: 7, at };
        assert_eq!(moment.fresh(at), Some(&7));
        assert_eq!(moment.fresh(at + TimeDelta::milliseconds(999)), Some(&7));
        assert_eq!(moment.fresh(at + TimeDelta::seconds(1)), None);
        assert_eq!(
            moment.fresh(at - TimeDelta::seconds(1)),
            None,
            "a clock was set back"
        );
    }
}
