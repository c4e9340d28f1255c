//! Reading many items whose keys are known.

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::error::{StorageError, classify};
use super::item::{Item, s};
use super::keys::Key;
use super::purge::PAUSES;
use super::table::Table;

/// The most keys that one `BatchGetItem` takes.
pub(super) const BATCH: usize = 100;

/// What a request for several items came to.
pub(super) struct Batch {
    /// The items that exist, in no order.
    pub found: Vec<Item>,
    /// The keys for which the answer had no room or the table no capacity.
    pub left: Vec<Item>,
}

impl Table {
    /// The items with these keys that exist, as they were a moment ago, in no order. Half a read unit for each 4 KiB
    /// of an item, and for each key without one. No key may come twice.
    pub(super) async fn get_many_recent(&self, keys: &[Key]) -> Result<Vec<Item>, StorageError> {
        let mut found = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            let mut keys = batch.iter().map(Key::attributes).collect();
            let mut pauses = PAUSES.iter();
            loop {
                let mut batch = self.get_batch(keys, false).await?;
                found.append(&mut batch.found);
                keys = batch.left;
                if keys.is_empty() {
                    break;
                }
                let Some(pause) = pauses.next() else {
                    return Err(StorageError::Throttled("a batch was left unread".into()));
                };
                tokio::time::sleep(*pause).await;
            }
        }
        Ok(found)
    }

    /// One request for the items with these keys, [`BATCH`] at most, as they are now. One read unit for each 4 KiB of an item,
    /// and for each key without one. No key may come twice.
    pub(super) async fn get_together(&self, keys: &[Key]) -> Result<Batch, StorageError> {
        self.get_batch(keys.iter().map(Key::attributes).collect(), true)
            .await
    }

    async fn get_batch(&self, keys: Vec<Item>, consistent: bool) -> Result<Batch, StorageError> {
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(consistent)
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        let sent = self.client().batch_get_item();
        let answer = sent.request_items(self.name(), wanted).send().await;
        let answer = answer.map_err(classify)?;
        let mut found = answer.responses.unwrap_or_default();
        let mut left = answer.unprocessed_keys.unwrap_or_default();
        Ok(Batch {
            found: found.remove(self.name()).unwrap_or_default(),
            left: left.remove(self.name()).map(|left| left.keys).unwrap_or_default(),
        })
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
