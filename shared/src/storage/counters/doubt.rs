//! The doubt whether all of an instance's messages that are counted as waiting do wait.
//!
//! A message may be counted and never end, because its process ended before the job came to the queue. A request that
//! finds an instance full asks the queue, and notes here how many of the waiting messages the queue does not hold.
//! The queue's numbers may be a minute old. So missing messages are believed only when they were missing a minute ago
//! as well, and the lowest number noted in between is counted as ended. The doubt is an item of the table and
//! outlives the process that began it.
//!
//! The queue belongs to a whole shard. Where others fill it, it tells nothing of one instance. Then the instance's
//! own records are counted, which takes more reads and is done once in some minutes at most. Queue and records have a
//! doubt each.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};

use super::{Counters, DAY_TERM};
use crate::ids::InstanceId;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Reader, n, seconds, time};
use crate::storage::keys::{self, Key};
use crate::storage::once::update_once;
use crate::storage::outcome::{condition_failed, held};

/// How long messages have to be missing before they are taken for lost.
const BELIEVED_AFTER: TimeDelta = TimeDelta::minutes(1);

/// A doubt older than this is begun anew, since too much may have happened in between.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::minutes(30);

/// How often an instance's records may be counted.
const RECORDS_EVERY: TimeDelta = TimeDelta::minutes(5);

/// What shows that messages are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The queue of the instance's shard holds fewer.
    Queue,
    /// Fewer of the instance's records say that they wait.
    Records,
}

impl Basis {
    fn key(self, instance: InstanceId) -> Key {
        match self {
            Self::Queue => keys::doubt(instance),
            Self::Records => keys::doubt_by_records(instance),
        }
    }
}

impl Counters {
    /// Whether the caller is to count the instance's records: `true` where nobody has in the last five minutes. One
    /// write unit.
    pub async fn may_count_records(
        &self,
        instance: InstanceId,
        now: DateTime<Utc>,
    ) -> Result<bool, StorageError> {
        let sent = self
            .table
            .put(keys::records_counted(instance).attributes())
            .item("at", time(now))
            .item("exp", seconds(now + FORGOTTEN_AFTER))
            .condition_expression("attribute_not_exists(pk) OR #at <= :due")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":due", time(now - RECORDS_EVERY))
            .send()
            .await;
        held(sent)
    }

    /// Notes that `basis` shows `missing` fewer waiting messages than the instance's counts. Answers how many of them
    /// are counted as ended now: 0 while it is only a doubt. One read unit, and at most two write units.
    pub async fn doubt(
        &self,
        instance: InstanceId,
        basis: Basis,
        missing: u64,
        now: DateTime<Utc>,
    ) -> Result<u64, StorageError> {
        let key = basis.key(instance);
        let found = self.table.get(&key).await?;
        let doubt = match &found {
            Some(item) => {
                let read = Reader::new("doubt", item);
                Some((read.time("since")?, read.number::<u64>("missing")?))
            }
            None => None,
        };
        let doubt = doubt.filter(|(since, _)| now - *since < FORGOTTEN_AFTER);
        let Some((since, least)) = doubt else {
            if missing > 0 {
                self.begin_doubt(&key, missing, now).await?;
            }
            return Ok(0);
        };
        let least = least.min(missing);
        if least > 0 && now - since < BELIEVED_AFTER {
            if least == missing {
                self.note_least(&key, least, since).await?;
            }
            return Ok(0);
        }
        // Of several callers at once only one ends the doubt.
        let ended = self
            .table
            .delete(&key)
            .condition_expression("since = :since")
            .expression_attribute_values(":since", time(since))
            .send()
            .await;
        match ended {
            Ok(_) if least > 0 => {
                self.count_ended(instance, least, now).await?;
                Ok(least)
            }
            Ok(_) => Ok(0),
            Err(error) if condition_failed(&error) => Ok(0),
            Err(error) => Err(classify(error)),
        }
    }

    async fn begin_doubt(&self, key: &Key, missing: u64, now: DateTime<Utc>) -> Result<(), StorageError> {
        self.table
            .put(key.attributes())
            .item("since", time(now))
            .item("missing", n(missing))
            .item("exp", seconds(now + FORGOTTEN_AFTER))
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }

    async fn note_least(&self, key: &Key, least: u64, since: DateTime<Utc>) -> Result<(), StorageError> {
        let sent = self
            .table
            .update(key)
            .update_expression("SET #missing = :least")
            .condition_expression("since = :since AND #missing > :least")
            .expression_attribute_names("#missing", "missing")
            .expression_attribute_values(":since", time(since))
            .expression_attribute_values(":least", n(least))
            .send()
            .await;
        held(sent)?;
        Ok(())
    }

    async fn count_ended(
        &self,
        instance: InstanceId,
        count: u64,
        at: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let request = self
            .table
            .update(&keys::day(instance, at))
            .update_expression("ADD ended :count SET #exp = :exp")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":count", AttributeValue::N(count.to_string()))
            .expression_attribute_values(":exp", seconds(at + DAY_TERM));
        update_once(request).await.map_err(classify)?;
        Ok(())
    }
}
