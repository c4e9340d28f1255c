//! The port over the items of the table.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnValue;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{TableSessionState, expiry, read_note, sealing, sort_key};
use crate::seal::{Purpose, SealError};
use crate::session_state::{Entry, Gone, Listed, Noted, Page, Recalled, SessionState};
use crate::storage::{StorageError, classify, keys};

/// How long a deletion is remembered: see the module's documentation. What comes late is late by seconds; the rest is for clocks that
/// are behind, by which the term begins too early.
const TOMBSTONE_TERM: TimeDelta = TimeDelta::hours(2);

/// How many writes of one call run at once. A partition takes 1,000 write units a second,
/// and all of an instance's state is in one.
const PARALLEL_WRITES: usize = 8;

/// The most keys that one `BatchGetItem` takes.
const BATCH_GET_LIMIT: usize = 100;

/// The most items that a page of values is read from. Without it a page of small values is 1 MB, which may take longer
/// than one attempt of a call has.
const ITEMS_BEHIND_A_PAGE: i32 = 1_000;

#[async_trait]
impl SessionState for TableSessionState {
    fn is_writable(&self) -> bool {
        !self.fence.is_revoked()
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let answer = self.table.get(&keys::session_entry(self.instance, key)).await?;
        match answer {
            Some(item) => Ok(self.read(item).await?.map(|(_, value)| value)),
            None => Ok(None),
        }
    }

    async fn get_noted(&self, key: &str) -> Result<Option<(Vec<u8>, Option<i64>)>, StorageError> {
        let Some(item) = self.table.get(&keys::session_entry(self.instance, key)).await? else {
            return Ok(None);
        };
        let note = read_note(&item);
        Ok(self.read(item).await?.map(|(_, value)| (value, note)))
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let mut distinct = keys.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut values = Vec::with_capacity(distinct.len());
        for batch in distinct.chunks(BATCH_GET_LIMIT) {
            // A data key that is not at hand is read and unwrapped meanwhile.
            let warming = self.sealer.warm(self.instance, Purpose::Session);
            let (items, warmed) = tokio::join!(self.batch_get(batch), warming);
            let items = items?;
            // Nobody waits for the key service twice. Where there was no key, whoever wrote these items may have made it since. What
            // is gone takes none.
            if let Err(error) = warmed
                && !matches!(error, SealError::NoKey(_))
                && items.iter().any(|item| !self.is_gone(item))
            {
                return Err(sealing(error, &keys::session_partition(self.instance)));
            }
            for item in items {
                values.extend(self.read(item).await?);
            }
        }
        Ok(values)
    }

    async fn put(&self, key: &str, value: &[u8], expires: Option<DateTime<Utc>>) -> Result<(), StorageError> {
        self.write(key, Some(value), expires).await
    }

    async fn put_many(&self, entries: Vec<Entry>) -> Result<(), StorageError> {
        stream::iter(entries)
            .map(|entry| async move { self.write(&entry.key, Some(&entry.value), entry.expires).await })
            .buffer_unordered(PARALLEL_WRITES)
            .try_collect()
            .await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.write(key, None, Some(self.clock.now() + TOMBSTONE_TERM))
            .await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StorageError> {
        let expires = Some(self.clock.now() + TOMBSTONE_TERM);
        stream::iter(keys.to_vec())
            .map(|key| async move { self.write(&key, None, expires).await })
            .buffer_unordered(PARALLEL_WRITES)
            .try_collect()
            .await
    }

    async fn delete_remembered(&self, gone: &[Gone], remembered: TimeDelta) -> Result<(), StorageError> {
        let expires = Some(self.clock.now() + remembered.max(TOMBSTONE_TERM));
        stream::iter(gone.to_vec())
            .map(|gone| async move {
                self.change(&gone.key, None, expires, gone.note, ReturnValue::None)
                    .await
                    .map(|_| ())
            })
            .buffer_unordered(PARALLEL_WRITES)
            .try_collect()
            .await
    }

    async fn put_recalling(&self, entries: Vec<Noted>) -> Result<Vec<Recalled>, StorageError> {
        let recalled: Vec<Option<Recalled>> = stream::iter(entries)
            .map(|Noted { entry, note }| async move {
                let (value, note) = (Some(&entry.value[..]), Some(note));
                let before = self
                    .change(&entry.key, value, entry.expires, note, ReturnValue::AllOld)
                    .await?;
                self.recalled(entry.key, before).await
            })
            .buffer_unordered(PARALLEL_WRITES)
            .try_collect()
            .await?;
        Ok(recalled.into_iter().flatten().collect())
    }

    async fn is_deleted(&self, key: &str) -> Result<bool, StorageError> {
        let item = self.table.get(&keys::session_entry(self.instance, key)).await?;
        Ok(item.is_some_and(|item| !item.contains_key("v")))
    }

    async fn keys(&self, prefix: &str, after: Option<&str>) -> Result<Page<Listed>, StorageError> {
        let (items, next) = self.key_page(prefix, after).await?;
        let now = self.clock.now();
        let listed = items.into_iter().filter_map(|item| {
            let expires = expiry(&item);
            let listed = Listed {
                key: sort_key(Some(item))?,
                expires,
            };
            expires.is_none_or(|expires| expires > now).then_some(listed)
        });
        Ok(Page {
            items: listed.collect(),
            next,
        })
    }

    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page<(String, Vec<u8>)>, StorageError> {
        // The limit counts tombstones too. It is high, since many of them may lie between a few values.
        let query = self
            .query(prefix, after)
            .limit(ITEMS_BEHIND_A_PAGE)
            .filter_expression("attribute_exists(#v)")
            .expression_attribute_names("#v", "v");
        let answer = query.send().await.map_err(classify)?;
        let mut items = Vec::new();
        for item in answer.items.unwrap_or_default() {
            items.extend(self.read(item).await?);
        }
        Ok(Page {
            items,
            next: sort_key(answer.last_evaluated_key),
        })
    }

    async fn clear(&self) -> Result<(), StorageError> {
        let mut after: Option<String> = None;
        loop {
            // With expired values: their content rests there until the store removes them.
            let (items, next) = self.key_page("", after.as_deref()).await?;
            let names: Vec<String> = items
                .into_iter()
                .filter_map(|item| sort_key(Some(item)))
                .collect();
            self.delete_many(&names).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
