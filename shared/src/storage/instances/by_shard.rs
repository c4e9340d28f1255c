//! All instances of a shard, by the index from shards to instances, and several of them together: for the daemon that holds
//! the shard, and for an overview.

use super::Instances;
use super::stored::from_item;
use crate::domain::instance::{Instance, Wanted};
use crate::domain::network::Network;
use crate::domain::shard::Shard;
use crate::ids::InstanceId;
use crate::storage::batch::BATCH;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Reader, s};
use crate::storage::keys;
use crate::storage::table::SHARD_INDEX;

/// How many instances are read together at most.
pub const READ_TOGETHER: usize = BATCH;

/// What came of reading several instances together.
#[derive(Debug)]
pub struct ReadTogether {
    /// What was read, as [`Instances::get_with_deleted`] answers it: one that is damaged costs itself alone.
    pub read: Vec<(InstanceId, Result<Option<Instance>, StorageError>)>,
    /// Those that were not read: the table had no capacity for them, or the answer no room.
    pub left: Vec<InstanceId>,
}

impl Instances {
    /// Several instances as they are now, or what is left of deleted ones, in one request: [`READ_TOGETHER`] at most, and none
    /// twice. One read unit for each 4 KiB of an item, and for each that is gone.
    pub async fn get_together_with_deleted(&self, ids: &[InstanceId]) -> Result<ReadTogether, StorageError> {
        let keys: Vec<_> = ids.iter().copied().map(keys::instance).collect();
        let mut batch = self.table.get_together(&keys).await?;
        let mut together = ReadTogether {
            read: Vec::with_capacity(ids.len()),
            left: Vec::new(),
        };
        for (id, key) in ids.iter().zip(&keys) {
            let Ok(item) = batch.take(key) else {
                together.left.push(*id);
                continue;
            };
            // A tombstone has no id.
            let item = item.filter(|item| item.contains_key("id"));
            together
                .read
                .push((*id, item.as_ref().map(from_item).transpose()));
        }
        Ok(together)
    }

    /// The instances of a shard as they were a moment ago, without deleted ones. They are read in batches: half a
    /// read unit for each, and for each 4 KiB of the index.
    pub async fn list_recent_by_shard(
        &self,
        network: Network,
        shard: Shard,
    ) -> Result<Vec<Instance>, StorageError> {
        let ids = self.list_ids_by_shard(network, shard).await?;
        let keys: Vec<_> = ids.into_iter().map(keys::instance).collect();
        let mut items = self.table.get_many_recent(&keys).await?;
        // A tombstone has no id.
        items.retain(|item| item.contains_key("id"));
        // One that cannot be read is left out.
        let mut instances: Vec<_> = items.iter().filter_map(|item| from_item(item).ok()).collect();
        instances.retain(|instance| instance.desired.wanted != Wanted::Deleted);
        Ok(instances)
    }

    /// The ids of all instances of a shard, deleted ones that are not tombstones yet among them. The index is
    /// eventually consistent, so a new instance may be missing for a moment; its first request nudges the shard with
    /// its id. An entry without a valid id is left out.
    pub async fn list_ids_by_shard(
        &self,
        network: Network,
        shard: Shard,
    ) -> Result<Vec<InstanceId>, StorageError> {
        let mut ids = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .table
                .client()
                .query()
                .table_name(self.table.name())
                .index_name(SHARD_INDEX)
                .key_condition_expression("shardKey = :shard")
                .expression_attribute_values(":shard", s(keys::shard_index(network, shard)))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(classify)?;
            for item in page.items() {
                let key = Reader::new("shard index", item).str("pk").unwrap_or_default();
                ids.extend(
                    key.strip_prefix("inst#")
                        .and_then(|id| id.parse::<InstanceId>().ok()),
                );
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(ids);
            }
        }
    }
}
