//! Sums of many counters, for administrators. No sums are kept as counters are written, so a sum reads each counter,
//! in batches: half a read unit each. Callers keep the answer for a while.

use chrono::{DateTime, Utc};

use super::{Counters, Counts, day_from_item};
use crate::ids::{InstanceId, SubscriptionId};
use crate::storage::error::StorageError;
use crate::storage::item::Reader;
use crate::storage::keys;

impl Counters {
    /// How many messages were counted against the quotas of these subscriptions in this month (UTC), in all.
    pub async fn used_of_quotas(
        &self,
        subscriptions: &[SubscriptionId],
        now: DateTime<Utc>,
    ) -> Result<u64, StorageError> {
        let keys: Vec<_> = subscriptions.iter().map(|id| keys::month(*id, now)).collect();
        let mut sum = 0;
        for item in self.table.get_many_recent(&keys).await? {
            sum += Reader::new("month", &item)
                .opt_number::<u64>("messages")?
                .unwrap_or(0);
        }
        Ok(sum)
    }

    /// The sum of these instances' counters on the day of `at` (UTC).
    pub async fn day_of(&self, instances: &[InstanceId], at: DateTime<Utc>) -> Result<Counts, StorageError> {
        let keys: Vec<_> = instances.iter().map(|id| keys::day(*id, at)).collect();
        let mut sum = Counts::default();
        for item in self.table.get_many_recent(&keys).await? {
            sum.add(&day_from_item(&item)?.1);
        }
        Ok(sum)
    }
}
