//! Reading many items whose keys are known.

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::error::{StorageError, classify};
use super::item::Item;
use super::keys::Key;
use super::purge::PAUSES;
use super::table::Table;

/// The most keys that one `BatchGetItem` takes.
const BATCH: usize = 100;

impl Table {
    /// The items with these keys that exist, as they were a moment ago, in no order. Half a read unit for each 4 KiB
    /// of an item, and for each key without one. No key may come twice.
    pub(super) async fn get_many_recent(&self, keys: &[Key]) -> Result<Vec<Item>, StorageError> {
        let mut found = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            found.extend(
                self.get_batch(batch.iter().map(Key::attributes).collect())
                    .await?,
            );
        }
        Ok(found)
    }

    async fn get_batch(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, StorageError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut pauses = PAUSES.iter();
        loop {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .build()
                .map_err(|error| StorageError::Refused(error.into()))?;
            let sent = self.client().batch_get_item();
            let answer = sent.request_items(self.name(), wanted).send().await;
            let answer = answer.map_err(classify)?;
            let mut items = answer.responses.unwrap_or_default();
            found.extend(items.remove(self.name()).unwrap_or_default());
            // Keys for which the answer had no room or the table no capacity.
            let mut left = answer.unprocessed_keys.unwrap_or_default();
            keys = left.remove(self.name()).map(|left| left.keys).unwrap_or_default();
            if keys.is_empty() {
                return Ok(found);
            }
            let Some(pause) = pauses.next() else {
                return Err(StorageError::Throttled("a batch was left unread".into()));
            };
            tokio::time::sleep(*pause).await;
        }
    }
}
