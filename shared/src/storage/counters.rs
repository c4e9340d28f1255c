//! Counters: a subscription's messages of a month, for its quota, and an instance's of a
//! day, for its statistics. Each is one atomic update. Counts of one item that come while an
//! update of it is under way share the next one.

mod days;
mod doubt;
mod months;
mod quota;
mod scheduled;
mod sums;
mod uploads;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use self::days::{Count, Days};
use self::months::Months;
use super::error::{StorageError, classify};
use super::gather::Gathering;
use super::item::{Item, Reader, s};
use super::keys;
use super::table::Table;
use crate::domain::OrUnknown as _;
use crate::domain::counting::Counter;
use crate::domain::message::Kind;
use crate::ids::InstanceId;

pub use doubt::Basis;
pub use quota::{Month, Quota};

/// How long a day's counters are kept.
const DAY_TERM: TimeDelta = TimeDelta::days(400);

/// Each kind has a counter whose name begins with this.
const SENT_PREFIX: &str = "sent#";

impl Counter {
    const fn attribute(self) -> &'static str {
        match self {
            Self::Sent(_) => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Ended => "ended",
            Self::Received => "received",
            Self::PutOff => "putOff",
            Self::Back => "back",
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
    /// Accepted in the same month and no longer waiting.
    pub ended: u64,
    /// Received.
    pub received: u64,
    /// How often a message that waits since the same month was put off.
    pub put_off: u64,
    /// How often one of these came back.
    pub back: u64,
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
        self.ended += other.ended;
        self.received += other.received;
        self.put_off += other.put_off;
        self.back += other.back;
        for (kind, count) in &other.sent_by_kind {
            *self.sent_by_kind.entry(*kind).or_default() += count;
        }
    }
}

/// The counters of the table. Its clones share updates.
#[derive(Debug, Clone)]
pub struct Counters {
    table: Table,
    days: Arc<Gathering<Days>>,
    months: Arc<Gathering<Months>>,
}

impl Counters {
    /// The counters of this table.
    pub fn new(table: Table) -> Self {
        Self {
            days: Gathering::new(Days(table.clone())),
            months: Gathering::new(Months(table.clone())),
            table,
        }
    }

    /// Counts one more of each of `counters` on the day of `at` (UTC). One write unit, which it shares with other
    /// counts of that day that wait at the same time. Where their update fails it fails for all of them. After an
    /// error nobody knows whether a count was made, unless it [was not executed](StorageError::was_not_executed). A count whose
    /// caller goes away is made all the same.
    pub async fn count(
        &self,
        instance: InstanceId,
        counters: &[Counter],
        at: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        if counters.is_empty() {
            return Ok(());
        }
        let count = Count {
            counters: counters.to_vec(),
            at,
        };
        self.days.ask(keys::day(instance, at), count).await
    }

    /// The counters of each day from `from` to `to`, both included, that has any; oldest
    /// first.
    pub async fn list_days(
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
    format!("{SENT_PREFIX}{kind}")
}

fn day_from_item(item: &Item) -> Result<(NaiveDate, Counts), StorageError> {
    let read = Reader::new("day", item);
    let date = read.str("sk")?.strip_prefix(keys::DAY_PREFIX).unwrap_or_default();
    let date = date.parse().map_err(|_| read.corrupt("sk"))?;
    let count = |name| Ok::<u64, StorageError>(read.opt_number(name)?.unwrap_or(0));
    let mut sent_by_kind = BTreeMap::new();
    for (name, value) in item {
        if let (Some(kind), AttributeValue::N(value)) = (name.strip_prefix(SENT_PREFIX), value)
            && let Ok(count) = value.parse::<u64>()
        {
            // Kinds that only a newer build knows are counted too.
            let kind = kind.parse().unwrap_or(Kind::UNKNOWN);
            *sent_by_kind.entry(kind).or_default() += count;
        }
    }
    Ok((
        date,
        Counts {
            sent: count("sent")?,
            delivered: count("delivered")?,
            read: count("read")?,
            failed: count("failed")?,
            ended: count("ended")?,
            received: count("received")?,
            put_off: count("putOff")?,
            back: count("back")?,
            sent_by_kind,
        },
    ))
}
