//! Reading many items whose keys are known.

use aws_sdk_dynamodb::types::KeysAndAttributes;
use tokio::time::{Instant, sleep, timeout_at};

use super::error::{StorageError, classify};
use super::item::{Item, s};
use super::keys::Key;
use super::purge::PAUSES;
use super::table::{CALL_DEADLINE, Table};

/// The most keys that one `BatchGetItem` takes.
const BATCH: usize = 100;

impl Table {
    /// The items with these keys that exist, as they were a moment ago, in no order. Half a read unit for each 4 KiB
    /// of an item, and for each key without one. No key may come twice.
    pub(super) async fn get_many_recent(&self, keys: &[Key]) -> Result<Vec<Item>, StorageError> {
        let mut found = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            self.get_batch(batch, &mut found).await?;
        }
        Ok(found)
    }

    /// The same of a hundred keys at most, for a caller that reads by itself what is missing: where the table leaves some
    /// unread, those that have come. An error where none has.
    pub(super) async fn get_some_recent(&self, keys: &[Key]) -> Result<Vec<Item>, StorageError> {
        let mut found = Vec::with_capacity(keys.len());
        match self.get_batch(keys, &mut found).await {
            Err(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// Adds the items with these keys to `found`. It ends within [`CALL_DEADLINE`], as other calls do. Where it fails, what
    /// has come is in `found`.
    async fn get_batch(&self, keys: &[Key], found: &mut Vec<Item>) -> Result<(), StorageError> {
        let deadline = Instant::now() + CALL_DEADLINE;
        // The client itself has a deadline for this one.
        let mut left = self
            .get_once(keys.iter().map(Key::attributes).collect(), found)
            .await?;
        for pause in PAUSES {
            if left.is_empty() {
                return Ok(());
            }
            let again = async {
                sleep(pause).await;
                self.get_once(left, found).await
            };
            let read = timeout_at(deadline, again).await;
            left = read.map_err(|late| StorageError::Unavailable(late.into()))??;
        }
        if left.is_empty() {
            return Ok(());
        }
        Err(StorageError::Throttled("a batch was left unread".into()))
    }

    /// Adds to `found` what one request finds. Answers the keys for which its answer had no room or the table no capacity.
    async fn get_once(&self, keys: Vec<Item>, found: &mut Vec<Item>) -> Result<Vec<Item>, StorageError> {
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        let sent = self.client().batch_get_item();
        let answer = sent.request_items(self.name(), wanted).send().await;
        let answer = answer.map_err(classify)?;
        let mut items = answer.responses.unwrap_or_default();
        found.extend(items.remove(self.name()).unwrap_or_default());
        let mut left = answer.unprocessed_keys.unwrap_or_default();
        Ok(left.remove(self.name()).map(|left| left.keys).unwrap_or_default())
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
