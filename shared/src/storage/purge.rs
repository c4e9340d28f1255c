//! Removing whole partitions.

use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};

use super::error::{StorageError, classify};
use super::item::{Item, s};
use super::table::Table;

/// The most writes that one `BatchWriteItem` takes.
const BATCH: usize = 25;

/// The pauses before a request that was not executed, or what a batch left out, is sent again.
pub(super) const PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];

impl Table {
    /// Removes every item of a partition but the one with the sort key `except`. Items that are written under a fence
    /// must not be removed like this.
    pub(super) async fn purge(&self, partition: &str, except: &str) -> Result<(), StorageError> {
        let mut pages = self
            .client()
            .query()
            .table_name(self.name())
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(partition))
            .projection_expression("pk, sk")
            .consistent_read(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let items = page.map_err(classify)?.items.unwrap_or_default();
            let items: Vec<Item> = items
                .into_iter()
                .filter(|item| item.get("sk") != Some(&s(except)))
                .collect();
            self.remove_all(&items).await?;
        }
        Ok(())
    }

    /// Removes the items with these keys. Items that are written under a fence must not be removed like this.
    pub(super) async fn remove_all(&self, keys: &[Item]) -> Result<(), StorageError> {
        for batch in keys.chunks(BATCH) {
            self.delete_batch(batch).await?;
        }
        Ok(())
    }

    async fn delete_batch(&self, keys: &[Item]) -> Result<(), StorageError> {
        let deletes = keys.iter().map(|key| {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build()?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        });
        let mut deletes = deletes
            .collect::<Result<Vec<_>, BuildError>>()
            .map_err(|error| StorageError::Refused(error.into()))?;
        let mut pauses = PAUSES.iter();
        loop {
            let sent = self.client().batch_write_item();
            let sent = sent.request_items(self.name(), deletes).send().await;
            let mut left = sent.map_err(classify)?.unprocessed_items.unwrap_or_default();
            deletes = left.remove(self.name()).unwrap_or_default();
            if deletes.is_empty() {
                return Ok(());
            }
            let Some(pause) = pauses.next() else {
                return Err(StorageError::Throttled("a batch was left unfinished".into()));
            };
            tokio::time::sleep(*pause).await;
        }
    }
}
