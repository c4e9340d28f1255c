//! Messages that are due later. Each counts against the quota of the month in which it is accepted, as every message
//! does, and against a limit of its instance for the day on which it is due. It counts as waiting when it is due.
//!
//! A day's number only grows, but for messages that were not accepted after all. So nothing has to be counted when a
//! message is sent or taken back, and what a crash counts too much is gone with its day.

use chrono::{DateTime, TimeDelta, Utc};

use super::Counters;
use super::quota::{Quota, attribute, next_month};
use crate::ids::{InstanceId, SubscriptionId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{n, seconds};
use crate::storage::keys::{self, Key};
use crate::storage::once::update_once;
use crate::storage::outcome::held;

/// How long after its day a day's number is kept.
const KEPT: TimeDelta = TimeDelta::days(2);

impl Counters {
    /// Counts one more message of the instance for the day (UTC) of `at`, where it has fewer than `limit`. `false`
    /// where it has not. One write unit.
    pub async fn count_scheduled(
        &self,
        instance: InstanceId,
        at: DateTime<Utc>,
        limit: u32,
    ) -> Result<bool, StorageError> {
        let request = self
            .table
            .update(&keys::scheduled_for(instance, at))
            .update_expression("ADD messages :one SET exp = :exp")
            .condition_expression("attribute_not_exists(messages) OR messages < :limit")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":limit", n(limit))
            .expression_attribute_values(":exp", seconds(at + KEPT));
        held(update_once(request).await)
    }

    /// Takes back what [`Counters::count_scheduled`] counted. One write unit.
    pub async fn give_back_scheduled(
        &self,
        instance: InstanceId,
        at: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        self.one_less(&keys::scheduled_for(instance, at)).await
    }

    /// As [`Counters::count_against_quota`], for a message that does not wait yet: [`Quota::Counted::of_instance`] is
    /// none of the instance's then.
    pub async fn count_later_against_quota(
        &self,
        subscription: SubscriptionId,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Quota, StorageError> {
        self.count_in_month(subscription, None, limit, now).await
    }

    /// Takes back what [`Counters::count_later_against_quota`] counted at `counted_at`. One write unit.
    pub async fn give_back_later(
        &self,
        subscription: SubscriptionId,
        counted_at: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        self.one_less(&keys::month(subscription, counted_at)).await
    }

    /// Takes one message back from the number of this item.
    async fn one_less(&self, key: &Key) -> Result<(), StorageError> {
        let request = self
            .table
            .update(key)
            .update_expression("ADD messages :less")
            .condition_expression("messages > :none")
            .expression_attribute_values(":less", n(-1))
            .expression_attribute_values(":none", n(0));
        held(update_once(request).await)?;
        Ok(())
    }

    /// Counts that a message whose time came at `at` waits to be sent, among its instance's of that month. One write
    /// unit.
    pub async fn count_as_waiting(
        &self,
        subscription: SubscriptionId,
        instance: InstanceId,
        at: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let request = self
            .table
            .update(&keys::month(subscription, at))
            .update_expression("ADD #instance :one SET exp = :exp")
            .expression_attribute_names("#instance", attribute(instance))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":exp", seconds(next_month(at) + super::DAY_TERM));
        update_once(request).await.map_err(classify)?;
        Ok(())
    }
}
