//! Several records in one request.

use super::{Messages, from_item};
use crate::domain::message::MessageRecord;
use crate::ids::{InstanceId, MessageId};
use crate::storage::error::StorageError;
use crate::storage::keys;

/// Which message: its instance, and its id.
pub type Which = (InstanceId, MessageId);

/// What came of reading several records together.
#[derive(Debug)]
pub struct ReadTogether {
    /// What was read, as [`Messages::get`] answers it, in the order in which it was asked for: one that is damaged costs itself
    /// alone.
    pub read: Vec<(Which, Result<Option<MessageRecord>, StorageError>)>,
    /// Those that were not read: the table had no capacity for them, or the answer no room. They may be there or not.
    pub left: Vec<Which>,
}

impl Messages {
    /// Several messages as they are now, in one request: 100 at most, and none twice. One read unit each, as
    /// [`Messages::get`] takes, also for one that is not there.
    pub async fn get_together(&self, which: &[Which]) -> Result<ReadTogether, StorageError> {
        let key = |(instance, id): &Which| keys::message(*instance, *id);
        let keys: Vec<_> = which.iter().map(key).collect();
        let mut batch = self.table.get_together(&keys).await?;
        let mut together = ReadTogether {
            read: Vec::with_capacity(which.len()),
            left: Vec::new(),
        };
        for (which, key) in which.iter().zip(&keys) {
            match batch.take(key) {
                Ok(item) => together
                    .read
                    .push((*which, item.as_ref().map(from_item).transpose())),
                Err(_) => together.left.push(*which),
            }
        }
        Ok(together)
    }
}
