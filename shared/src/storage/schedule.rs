//! The due index: messages that are to be sent later rest here, sealed, with their jobs, by shard and in the order of
//! their times.
//!
//! A function puts an entry, and the daemon that holds the shard hands its job over to the shard's queue when its time
//! has come. The message's record says whether it is still to be sent; an entry is only a promise to look. So an entry
//! may be looked at twice, and one of a message that was taken back does no harm.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, s, seconds, text, time};
use super::keys::{self, Key};
use super::table::Table;
use crate::domain::network::Network;
use crate::domain::shard::Shard;
use crate::ids::{InstanceId, MessageId, SubscriptionId};

/// How long after a message's time to be sent an entry is kept that no daemon has looked at.
const KEPT: TimeDelta = TimeDelta::days(4);

/// A message that is due at a time.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, in whole milliseconds.
    pub at: DateTime<Utc>,
    /// The message.
    pub message: MessageId,
    /// The instance that sends.
    pub instance: InstanceId,
    /// The subscription whose number of waiting messages it is added to when it is due; `None` where it waits already, and
    /// was put off.
    pub subscription: Option<SubscriptionId>,
    /// Until when the message is worth sending.
    pub expires_at: DateTime<Utc>,
    /// Its job; `None` where the message was taken back, and that is still to be told.
    pub job: Option<QueuedLater>,
}

/// A job as its queue is going to carry it. Whoever hands it over need not be able to read it.
#[derive(Clone, PartialEq, Eq)]
pub struct QueuedLater {
    /// Its message group.
    pub group: String,
    /// The payload, whose content is sealed.
    pub body: String,
}

/// What an entry holds stays out of logs.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("at", &self.at)
            .field("message", &self.message)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for QueuedLater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueuedLater")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

/// An entry as it was found.
#[derive(Debug)]
pub struct Found {
    /// Its place, by which it is removed.
    pub key: Key,
    /// What it says; an error where it is corrupt.
    pub entry: Result<Entry, StorageError>,
    /// The payload of its job, as far as it has one.
    pub body: Option<String>,
}

/// The due indexes of the table.
#[derive(Debug, Clone)]
pub struct Schedule {
    table: Table,
}

impl Schedule {
    /// The due indexes of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Puts an entry; the same one may be put again. One write unit for each KiB.
    pub async fn put(&self, network: Network, shard: Shard, entry: &Entry) -> Result<(), StorageError> {
        let mut item = keys::due(network, shard, entry.at, entry.message).attributes();
        let mut set = |name: &str, value: AttributeValue| {
            item.insert(name.to_owned(), value);
        };
        set("instance", text(entry.instance));
        if let Some(subscription) = entry.subscription {
            set("subscription", text(subscription));
        }
        set("expiresAt", time(entry.expires_at));
        set("exp", seconds(entry.expires_at.max(entry.at) + KEPT));
        if let Some(job) = &entry.job {
            set("lane", s(&job.group));
            set("job", s(&job.body));
        }
        self.table.put(item).send().await.map_err(classify)?;
        Ok(())
    }

    /// Has the owner of the shard look at once at a message that was taken back, and tell of it. The record says first that the
    /// message is cancelled. Its job is removed; that of one that was put off stays where the record says, for the owner, who
    /// knows whether the message may be out. Two write units, or one where it was put off.
    pub async fn call_back(
        &self,
        network: Network,
        shard: Shard,
        cancelled: Entry,
        was_put_off: bool,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let (at, message) = (cancelled.at, cancelled.message);
        let notice = Entry {
            at: now,
            job: None,
            ..cancelled
        };
        self.put(network, shard, &notice).await?;
        // At this very time the notice is in its place.
        if was_put_off || keys::due_time(at) == keys::due_time(now) {
            return Ok(());
        }
        self.take_out(network, shard, at, message).await
    }

    /// Removes the entry of a message that is due at this time, which may be gone. One write unit for each KiB of it.
    pub async fn take_out(
        &self,
        network: Network,
        shard: Shard,
        at: DateTime<Utc>,
        message: MessageId,
    ) -> Result<(), StorageError> {
        self.remove(&keys::due(network, shard, at, message)).await
    }

    /// The entry of a message that is due at this time. One read unit for each 4 KiB of it.
    pub async fn get(
        &self,
        network: Network,
        shard: Shard,
        at: DateTime<Utc>,
        message: MessageId,
    ) -> Result<Option<Found>, StorageError> {
        let item = self.table.get(&keys::due(network, shard, at, message)).await?;
        Ok(item.as_ref().map(found))
    }

    /// Removes an entry, which may be gone. One write unit for each KiB of it.
    pub async fn remove(&self, key: &Key) -> Result<(), StorageError> {
        self.table.delete(key).send().await.map_err(classify)?;
        Ok(())
    }

    /// When the first message of a shard is due. One read unit for each 4 KiB of its entry.
    pub async fn first(&self, network: Network, shard: Shard) -> Result<Option<DateTime<Utc>>, StorageError> {
        self.first_behind(network, shard, None).await
    }

    /// When the first message of a shard behind this entry is due. One read unit for each 4 KiB of its entry.
    pub async fn first_behind(
        &self,
        network: Network,
        shard: Shard,
        behind: Option<&Key>,
    ) -> Result<Option<DateTime<Utc>>, StorageError> {
        let found = self.page(network, shard, behind, None, 1).await?;
        let place = |item| {
            Reader::new("due entry", item)
                .str("sk")
                .ok()
                .and_then(parse_place)
        };
        // One without a time is looked at like one that is overdue.
        let at = |item| place(item).map_or(DateTime::UNIX_EPOCH, |(at, _)| at);
        Ok(found.first().map(at))
    }

    /// Up to `limit` entries of a shard that are due at `now`, the first ones first. One read unit for each 4 KiB.
    pub async fn due(
        &self,
        network: Network,
        shard: Shard,
        now: DateTime<Utc>,
        limit: i32,
    ) -> Result<Vec<Found>, StorageError> {
        self.due_behind(network, shard, None, now, limit).await
    }

    /// The same of those behind this entry; fewer where they are large, and none where there is none.
    pub async fn due_behind(
        &self,
        network: Network,
        shard: Shard,
        behind: Option<&Key>,
        now: DateTime<Utc>,
        limit: i32,
    ) -> Result<Vec<Found>, StorageError> {
        let later = keys::due_time(now + TimeDelta::milliseconds(1));
        if behind.is_some_and(|behind| behind.sk >= later) {
            // The clock was set back.
            return Ok(Vec::new());
        }
        let items = self.page(network, shard, behind, Some(later), limit).await?;
        Ok(items.iter().map(found).collect())
    }

    async fn page(
        &self,
        network: Network,
        shard: Shard,
        behind: Option<&Key>,
        before: Option<String>,
        limit: i32,
    ) -> Result<Vec<Item>, StorageError> {
        let mut query = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .expression_attribute_values(":pk", s(keys::due_partition(network, shard)))
            .set_exclusive_start_key(behind.map(Key::attributes))
            .consistent_read(true)
            .limit(limit);
        query = match before {
            Some(before) => query
                .key_condition_expression("pk = :pk AND sk < :before")
                .expression_attribute_values(":before", s(before)),
            None => query.key_condition_expression("pk = :pk"),
        };
        let page = query.send().await.map_err(classify)?;
        Ok(page.items.unwrap_or_default())
    }

    /// Removes the entries of an instance that goes, those of messages that were put off too. The whole index of its shard is
    /// read for it, once: half a read unit for each 4 KiB. It may be broken off and done again.
    pub async fn forget(
        &self,
        network: Network,
        shard: Shard,
        instance: InstanceId,
    ) -> Result<(), StorageError> {
        let mut pages = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk")
            .filter_expression("#instance = :instance")
            .expression_attribute_names("#instance", "instance")
            .expression_attribute_values(":pk", s(keys::due_partition(network, shard)))
            .expression_attribute_values(":instance", text(instance))
            .projection_expression("pk, sk")
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            for item in page.map_err(classify)?.items() {
                let read = Reader::new("due entry", item);
                self.remove(&Key::new(read.str("pk")?, read.str("sk")?)).await?;
            }
        }
        Ok(())
    }
}

/// Time and message of a sort key.
fn parse_place(sk: &str) -> Option<(DateTime<Utc>, MessageId)> {
    let (at, id) = sk.split_once(keys::DUE_SEPARATOR)?;
    let at = DateTime::parse_from_rfc3339(at).ok()?;
    Some((at.to_utc(), id.parse().ok()?))
}

fn found(item: &Item) -> Found {
    let of_key = |name: &str| {
        let value = item.get(name).and_then(|value| value.as_s().ok());
        value.cloned().unwrap_or_default()
    };
    let body = item.get("job").and_then(|value| value.as_s().ok()).cloned();
    Found {
        key: Key::new(of_key("pk"), of_key("sk")),
        entry: from_item(item),
        body,
    }
}

fn from_item(item: &Item) -> Result<Entry, StorageError> {
    let read = Reader::new("due entry", item);
    let (at, message) = parse_place(read.str("sk")?).ok_or_else(|| read.corrupt("sk"))?;
    let job = match read.opt_str("job")? {
        Some(body) => Some(QueuedLater {
            group: read.str("lane")?.to_owned(),
            body: body.to_owned(),
        }),
        None => None,
    };
    Ok(Entry {
        at,
        message,
        instance: read.parse("instance")?,
        subscription: read.opt_parse("subscription")?,
        expires_at: read.time("expiresAt")?,
        job,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_sorts_by_its_time_and_is_read_from_its_key() {
        let at = |millis: i64| DateTime::from_timestamp_millis(1_767_225_600_000 + millis).expect("in range");
        let key = |millis: i64, id: u8| {
            let id = MessageId::from_bytes([id; 16]);
            keys::due(Network::Sandbox, Shard(3), at(millis), id).sk
        };
        let sorted = [key(0, 2), key(0, 3), key(9, 1), key(10, 0), key(100_000, 0)];
        assert!(sorted.is_sorted(), "{sorted:?}");
        assert!(keys::due_time(at(1)) > key(0, 255) && keys::due_time(at(9)) < key(9, 0));
        assert_eq!(
            parse_place(&key(9, 1)),
            Some((at(9), MessageId::from_bytes([1; 16])))
        );
        assert_eq!(parse_place("2026-01-01T00:00:00.000Z"), None);
    }
}
