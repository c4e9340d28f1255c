//! A subscription's messages of a month: in all, for its quota, and by instance, which shows how many messages of an
//! instance have not ended yet.
//!
//! Both are in one item and one update. The name of an instance's attribute has nine characters, so the item of a
//! subscription with 40 instances is below 1 KiB and an update is one write unit.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};

use super::months::Allowance;
use super::{Counters, Counts};
use crate::ids::{InstanceId, SubscriptionId};
use crate::storage::error::StorageError;
use crate::storage::item::{Reader, n};
use crate::storage::keys;
use crate::storage::once::update_once;
use crate::storage::outcome::held;

/// What came of counting a message against a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// It is counted.
    Counted {
        /// The instance's messages of this month so far, this one included.
        of_instance: u64,
    },
    /// The month's messages are used up; it is not counted.
    Exceeded {
        /// When the next month begins.
        renews_at: DateTime<Utc>,
    },
}

impl Counters {
    /// Counts one more message of this month (UTC) where the subscription has fewer than `limit`. It is called before
    /// the message is accepted: a crash in between, or a lost answer, counts one too many and never one too few. One
    /// write unit, which it shares with other messages of the month that wait to be counted at the same time. The first
    /// of them to come are the first to be counted. Where their update fails it fails for all of them.
    pub async fn count_against_quota(
        &self,
        subscription: SubscriptionId,
        instance: InstanceId,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Quota, StorageError> {
        self.count_in_month(subscription, Some(instance), limit, now)
            .await
    }

    /// Counts one more message of this month, and among those of `instance` if it waits to be sent.
    pub(super) async fn count_in_month(
        &self,
        subscription: SubscriptionId,
        instance: Option<InstanceId>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Quota, StorageError> {
        let allowance = Allowance {
            month: keys::month(subscription, now),
            limit,
            renews_at: next_month(now),
        };
        self.months.ask(allowance, instance).await
    }

    /// Takes back what [`Counters::count_against_quota`] counted at `counted_at`, for a message that was not
    /// accepted. Repeated only where it certainly was not done: done twice, it would count one too few. One write
    /// unit.
    pub async fn give_back(
        &self,
        subscription: SubscriptionId,
        instance: InstanceId,
        counted_at: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let request = self
            .table
            .update(&keys::month(subscription, counted_at))
            .update_expression("ADD messages :less, #instance :less")
            .condition_expression("messages > :none AND #instance > :none")
            .expression_attribute_names("#instance", attribute(instance))
            .expression_attribute_values(":less", n(-1))
            .expression_attribute_values(":none", n(0));
        held(update_once(request).await)?;
        Ok(())
    }

    /// Removes what was counted against the quotas of a subscription that goes. It may be
    /// broken off and done again.
    pub async fn forget(&self, subscription: SubscriptionId) -> Result<(), StorageError> {
        self.table.purge(&keys::quota_partition(subscription), "").await
    }

    /// How many messages were counted against the quota of this month (UTC), and when the next
    /// begins. One read unit.
    pub async fn get_used_of_quota(
        &self,
        subscription: SubscriptionId,
        now: DateTime<Utc>,
    ) -> Result<(u32, DateTime<Utc>), StorageError> {
        let found = self.table.get(&keys::month(subscription, now)).await?;
        let used = match &found {
            Some(item) => Reader::new("month", item).opt_number("messages")?.unwrap_or(0),
            None => 0,
        };
        Ok((used, next_month(now)))
    }

    /// What became of the messages that the instance accepted this month (UTC). Perhaps a moment old. Up to two read units.
    pub async fn this_month(&self, instance: InstanceId, now: DateTime<Utc>) -> Result<Month, StorageError> {
        let today = now.date_naive();
        let days = self
            .list_days(instance, today.with_day(1).unwrap_or(today), today)
            .await?;
        let sum = |of: fn(&Counts) -> u64| days.iter().map(|(_, counts)| of(counts)).sum::<u64>();
        Ok(Month {
            ended: sum(|counts| counts.ended),
            put_off: sum(|counts| counts.put_off).saturating_sub(sum(|counts| counts.back)),
        })
    }

    /// How many messages of the instance were counted as waiting this month (UTC), those that have ended included. One
    /// read unit.
    pub async fn begun_this_month(
        &self,
        subscription: SubscriptionId,
        instance: InstanceId,
        now: DateTime<Utc>,
    ) -> Result<u64, StorageError> {
        let found = self.table.get(&keys::month(subscription, now)).await?;
        let begun = found
            .as_ref()
            .and_then(|item| item.get(&attribute(instance)))
            .and_then(|value| value.as_n().ok());
        Ok(begun.and_then(|begun| begun.parse().ok()).unwrap_or(0))
    }
}

/// What became of the messages that an instance accepted in a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Month {
    /// How many have ended. Where nobody knows whether one was counted, it is left out: rather too few than too many.
    pub ended: u64,
    /// How many are put off: they wait, and their jobs are not in the queue.
    pub put_off: u64,
}

/// The name of an instance's attribute: its id's last 48 bits, which are random, behind a
/// letter that no other attribute begins with.
pub(super) fn attribute(instance: InstanceId) -> String {
    format!("i{}", URL_SAFE_NO_PAD.encode(&instance.to_bytes()[10..]))
}

/// Midnight of the next month's first day, UTC.
pub(super) fn next_month(now: DateTime<Utc>) -> DateTime<Utc> {
    let first = now.date_naive().with_day(1).unwrap_or_default();
    (first + Months::new(1)).and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    #[test]
    fn a_quota_renews_with_the_month() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        assert_eq!(next_month(at("2026-01-31T23:59:59Z")), at("2026-02-01T00:00:00Z"));
        assert_eq!(next_month(at("2026-12-01T00:00:00Z")), at("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn the_item_of_forty_instances_stays_below_a_write_unit() {
        let key = keys::month(SubscriptionId::new(DateTime::UNIX_EPOCH), DateTime::UNIX_EPOCH);
        let text = |value: &AttributeValue| value.as_s().expect("a text").len();
        let key: usize = key
            .attributes()
            .iter()
            .map(|(name, value)| name.len() + text(value))
            .sum();
        // A number takes one byte for two digits and one byte more. The longest here has 10 digits.
        let number = 6;
        let of_instance = attribute(InstanceId::new(DateTime::UNIX_EPOCH)).len() + number;
        let size = key + "messages".len() + number + "exp".len() + number + 40 * of_instance;
        assert!(size < 1_024, "{size} bytes");
    }
}
