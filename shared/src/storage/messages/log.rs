//! The message log of an instance: its records, newest first.

use super::{Messages, from_item};
use crate::domain::message::MessageRecord;
use crate::ids::{InstanceId, MessageId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Reader, s};
use crate::storage::keys;

/// Records of one read where not each of them is wanted.
const READ: usize = 100;

/// The most records that are read for a page: some hundred read units at most.
const MOST: usize = 1_000;

/// What a look through the log found.
#[derive(Debug)]
pub struct Looked {
    /// Newest first.
    pub records: Vec<MessageRecord>,
    /// The record before which to go on, where the look ended with too few found and more to come.
    pub stopped_at: Option<MessageId>,
}

impl Messages {
    /// Up to `limit` messages of this instance, newest first, that are older than `before`. A record that cannot be
    /// read is left out. Half a read unit for each 4 KiB.
    pub async fn list(
        &self,
        instance: InstanceId,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<MessageRecord>, StorageError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let looked = self.look(instance, before, limit, None, Some).await?;
        Ok(looked.records)
    }

    /// The same of what `wanted` answers for each record, of a thousand records at most.
    pub async fn look_through(
        &self,
        instance: InstanceId,
        before: Option<MessageId>,
        limit: u32,
        wanted: impl Fn(MessageRecord) -> Option<MessageRecord> + Send,
    ) -> Result<Looked, StorageError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.look(instance, before, limit, Some(MOST), wanted).await
    }

    async fn look(
        &self,
        instance: InstanceId,
        before: Option<MessageId>,
        limit: usize,
        most: Option<usize>,
        wanted: impl Fn(MessageRecord) -> Option<MessageRecord> + Send,
    ) -> Result<Looked, StorageError> {
        let mut start = before.map(|id| keys::message(instance, id).attributes());
        let mut records = Vec::new();
        let mut read = 0;
        loop {
            let left = limit - records.len();
            let next = most.map_or(left, |most| left.max(READ).min(most - read));
            let page = self
                .table
                .client()
                .query()
                .table_name(self.table.name())
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", s(keys::message_partition(instance)))
                .scan_index_forward(false)
                .set_exclusive_start_key(start)
                .limit(i32::try_from(next).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(classify)?;
            read += page.items().len();
            for item in page.items() {
                match from_item(item) {
                    Ok(record) => records.extend(wanted(record)),
                    Err(error) => tracing::error!(instance.id = %instance, %error, "left out of a list"),
                }
            }
            start = page.last_evaluated_key;
            let Some(last) = &start else {
                let stopped_at = None;
                return Ok(Looked { records, stopped_at });
            };
            let stopped_at = Reader::new("message", last).parse("sk").map(Some);
            if records.len() >= limit || most.is_some_and(|most| read >= most) {
                records.truncate(limit);
                let stopped_at = stopped_at?.filter(|_| records.len() < limit);
                return Ok(Looked { records, stopped_at });
            }
        }
    }
}
