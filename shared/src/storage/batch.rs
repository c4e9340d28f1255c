//! Reading many items whose keys are known.

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::error::{StorageError, classify};
use super::item::{Item, s};
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

/// Takes the item with this key out of those that were found.
pub(super) fn take(found: &mut Vec<Item>, key: &Key) -> Option<Item> {
    let (pk, sk) = (s(&key.pk), s(&key.sk));
    let is_it = |item: &Item| item.get("pk") == Some(&pk) && item.get("sk") == Some(&sk);
    let place = found.iter().position(is_it)?;
    Some(found.swap_remove(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_taken_by_both_parts_of_its_key_and_once() {
        let keys = [("inst#1", "meta"), ("hook#1", "hook"), ("hook#1", "places")];
        let items = keys.map(|(pk, sk)| Key::new(pk, sk).attributes());
        let mut found = Vec::from(items);
        let places = Key::new("hook#1", "places");
        assert_eq!(take(&mut found, &places), Some(places.attributes()));
        assert_eq!(take(&mut found, &places), None);
        assert_eq!(take(&mut found, &Key::new("hook#1", "meta")), None);
        assert_eq!(found.len(), 2);
    }
}
