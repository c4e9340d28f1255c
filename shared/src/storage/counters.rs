//! Counters: a subscription's messages of a month, for its quota, and an instance's of a
//! day, for its statistics. Each is one atomic update.

mod sums;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Months, NaiveDate, TimeDelta, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, n, s, seconds};
use super::keys;
use super::outcome::condition_failed;
use super::table::Table;
use crate::domain::message::Kind;
use crate::ids::{InstanceId, SubscriptionId};

/// How long a day's counters are kept.
const DAY_TERM: TimeDelta = TimeDelta::days(400);

/// What a day's counters count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Acknowledged by the server, by kind.
    Sent(Kind),
    /// Delivered.
    Delivered,
    /// Read.
    Read,
    /// Failed or expired.
    Failed,
    /// Received.
    Received,
}

impl Counter {
    const fn attribute(self) -> &'static str {
        match self {
            Self::Sent(_) => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Received => "received",
        }
    }
}

/// A day's counters, or a sum of several days'.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged by the server.
    pub sent: u64,
    /// Delivered.
    pub delivered: u64,
    /// Read.
    pub read: u64,
    /// Failed or expired.
    pub failed: u64,
    /// Received.
    pub received: u64,
    /// [`Counts::sent`] by kind.
    pub sent_by_kind: BTreeMap<Kind, u64>,
}

impl Counts {
    /// Adds another day's.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.read += other.read;
        self.failed += other.failed;
        self.received += other.received;
        for (kind, count) in &other.sent_by_kind {
            *self.sent_by_kind.entry(*kind).or_default() += count;
        }
    }
}

/// What came of counting a message against a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// It is counted.
    Counted,
    /// The month's messages are used up; it is not counted.
    Exceeded {
        /// When the next month begins.
        renews_at: DateTime<Utc>,
    },
}

/// The counters of the table.
#[derive(Debug, Clone)]
pub struct Counters {
    table: Table,
}

impl Counters {
    /// The counters of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Counts one more message of this month (UTC) where fewer than `limit` are. Counted
    /// before the message is accepted: a crash in between counts one too many, never one
    /// too few. One write unit.
    pub async fn count_against_quota(
        &self,
        subscription: SubscriptionId,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Quota, StorageError> {
        let renews_at = next_month(now);
        let sent = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::month(subscription, now).attributes()))
            .update_expression("ADD messages :one SET exp = :exp")
            .condition_expression("attribute_not_exists(messages) OR messages < :limit")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":limit", n(limit))
            .expression_attribute_values(":exp", seconds(renews_at + DAY_TERM))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Quota::Counted),
            Err(error) if condition_failed(&error) => Ok(Quota::Exceeded { renews_at }),
            Err(error) => Err(classify(error)),
        }
    }

    /// How many messages were counted against the quota of this month (UTC), and when the next
    /// begins. One read unit.
    pub async fn used_of_quota(
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

    /// Counts one more of each of `counters` on the day of `at` (UTC). One write unit.
    pub async fn count(
        &self,
        instance: InstanceId,
        counters: &[Counter],
        at: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let mut names = Vec::new();
        for counter in counters {
            names.push(counter.attribute().to_owned());
            if let Counter::Sent(kind) = counter {
                names.push(kind_attribute(*kind));
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let mut request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::day(instance, at).attributes()))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":exp", seconds(at + DAY_TERM));
        let mut additions = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            additions.push(format!("#n{index} :one"));
            request = request.expression_attribute_names(format!("#n{index}"), name);
        }
        let expression = format!("ADD {} SET exp = :exp", additions.join(", "));
        request
            .update_expression(expression)
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }

    /// The counters of each day from `from` to `to`, both included, that has any; oldest
    /// first.
    pub async fn days(
        &self,
        instance: InstanceId,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<(NaiveDate, Counts)>, StorageError> {
        let sort_key = |date: NaiveDate| s(format!("{}{date}", keys::DAY_PREFIX));
        let page = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", s(keys::counter_partition(instance)))
            .expression_attribute_values(":from", sort_key(from))
            .expression_attribute_values(":to", sort_key(to))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(classify)?;
        page.iter().map(day_from_item).collect()
    }
}

fn kind_attribute(kind: Kind) -> String {
    format!("sent#{kind}")
}

fn day_from_item(item: &Item) -> Result<(NaiveDate, Counts), StorageError> {
    let read = Reader::new("day", item);
    let date = read.str("sk")?.strip_prefix(keys::DAY_PREFIX).unwrap_or_default();
    let date = date.parse().map_err(|_| read.corrupt("sk"))?;
    let count = |name| Ok::<u64, StorageError>(read.opt_number(name)?.unwrap_or(0));
    let sent_by_kind = Kind::ALL
        .iter()
        .filter_map(|kind| match item.get(&kind_attribute(*kind)) {
            Some(AttributeValue::N(value)) => Some((*kind, value.parse().ok()?)),
            _ => None,
        })
        .collect();
    Ok((
        date,
        Counts {
            sent: count("sent")?,
            delivered: count("delivered")?,
            read: count("read")?,
            failed: count("failed")?,
            received: count("received")?,
            sent_by_kind,
        },
    ))
}

/// Midnight of the next month's first day, UTC.
fn next_month(now: DateTime<Utc>) -> DateTime<Utc> {
    use chrono::Datelike;
    let first = now.date_naive().with_day(1).unwrap_or_default();
    (first + Months::new(1))
        .and_time(chrono::NaiveTime::MIN)
        .and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_renews_with_the_month() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        assert_eq!(next_month(at("2026-01-31T23:59:59Z")), at("2026-02-01T00:00:00Z"));
        assert_eq!(next_month(at("2026-12-01T00:00:00Z")), at("2027-01-01T00:00:00Z"));
    }
}
