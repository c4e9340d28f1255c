//! Reading many items whose keys are known.

use aws_sdk_dynamodb::types::KeysAndAttributes;
use tokio::time::{Instant, sleep, timeout_at};

use super::error::{StorageError, classify};
use super::item::{Item, s};
use super::keys::Key;
use super::purge::PAUSES;
use super::table::{CALL_DEADLINE, Table};

/// The most keys that one `BatchGetItem` takes.
pub(super) const BATCH: usize = 100;

/// What a request for several items came to.
pub(super) struct Batch {
    /// The items that exist, in no order.
    pub found: Vec<Item>,
    /// The keys for which the answer had no room or the table no capacity.
    pub left: Vec<Item>,
}

/// A key of a [`Batch`] was left unread: nobody knows whether it has an item.
#[derive(Debug)]
pub(super) struct Unread;

impl Batch {
    /// What it tells of a key that it was asked for: its item, which is taken out, or that there is none.
    pub(super) fn take(&mut self, key: &Key) -> Result<Option<Item>, Unread> {
        if !self.left.is_empty() && self.left.contains(&key.attributes()) {
            return Err(Unread);
        }
        Ok(take(&mut self.found, key))
    }
}

impl Table {
    /// The items with these keys that exist, as they were a moment ago, in no order. Half a read unit for each 4 KiB
    /// of an item, and for each key without one. No key may come twice.
    pub(super) async fn get_many_recent(&self, keys: &[Key]) -> Result<Vec<Item>, StorageError> {
        let mut found = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            self.get_all(batch, &mut found).await?;
        }
        Ok(found)
    }

    /// The same of [`BATCH`] keys at most, for a caller that reads by itself what is missing: where the table leaves some
    /// unread, those that have come. An error where none has.
    pub(super) async fn get_some_recent(&self, keys: &[Key]) -> Result<Vec<Item>, StorageError> {
        let mut found = Vec::with_capacity(keys.len());
        match self.get_all(keys, &mut found).await {
            Err(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// One request for the items with these keys, [`BATCH`] at most, as they are now. One read unit for each 4 KiB of an item,
    /// and for each key without one. No key may come twice.
    pub(super) async fn get_together(&self, keys: &[Key]) -> Result<Batch, StorageError> {
        self.get_once(keys.iter().map(Key::attributes).collect(), true)
            .await
    }

    /// Adds the items with these keys, as they were a moment ago, to `found`. It ends within [`CALL_DEADLINE`], as other
    /// calls do. Where it fails, what has come is in `found`.
    async fn get_all(&self, keys: &[Key], found: &mut Vec<Item>) -> Result<(), StorageError> {
        let deadline = Instant::now() + CALL_DEADLINE;
        // The client itself has a deadline for this one.
        let keys = keys.iter().map(Key::attributes).collect();
        let mut batch = self.get_once(keys, false).await?;
        for pause in PAUSES {
            found.append(&mut batch.found);
            if batch.left.is_empty() {
                return Ok(());
            }
            let again = async {
                sleep(pause).await;
                self.get_once(batch.left, false).await
            };
            let read = timeout_at(deadline, again).await;
            batch = read.map_err(|late| StorageError::Unavailable(late.into()))??;
        }
        found.append(&mut batch.found);
        if batch.left.is_empty() {
            return Ok(());
        }
        Err(StorageError::Throttled("a batch was left unread".into()))
    }

    async fn get_once(&self, keys: Vec<Item>, consistent: bool) -> Result<Batch, StorageError> {
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

    #[test]
    fn a_key_that_was_left_is_not_taken_for_one_without_an_item() {
        let [found, missing, left] = ["1", "2", "3"].map(|name| Key::new("msgs#1", name));
        let mut batch = Batch {
            found: vec![found.attributes()],
            left: vec![left.attributes()],
        };
        assert!(matches!(batch.take(&left), Err(Unread)));
        assert!(matches!(batch.take(&missing), Ok(None)));
        assert!(matches!(batch.take(&found), Ok(Some(item)) if item == found.attributes()));
    }
}
