//! Leases on shards, without clocks.
//!
//! A daemon beats on one item of its own. A shard's lease names its owner and lives as long as the owner's beat goes
//! on. A challenger tells by its own monotonic clock whether it does: see the daemon's `lease` module. The cost of
//! being alive does not grow with the number of shards.

mod beat;
mod listing;

use std::time::Duration;

use chrono::{DateTime, Utc};

pub use self::beat::{Beat, Load, Vitals};
pub use self::listing::{Listing, Unreadable};
use super::error::{StorageError, classify};
use super::item::{Reader, n, s};
use super::keys;
use super::outcome::{condition_failed, held};
use super::table::Table;
use crate::domain::network::Network;
use crate::domain::shard::Shard;

/// The longest duration that a daemon may state. A daemon that states more counts as dead after this one.
pub const LONGEST_LEASE: Duration = Duration::from_mins(1);

/// Who may hold the sockets of a shard's instances and take from its queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: Shard,
    /// The owning daemon; `None` where it was released.
    pub owner: Option<String>,
    /// Rises with each change of owner: the fence of all that an owner writes.
    pub token: u64,
}

/// The owner of a shard's lease, which looks alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveOwner {
    /// The lease's token. A status that was written under an earlier token is an earlier owner's.
    pub token: u64,
    /// The owner's beat.
    pub beat: Beat,
}

/// The leases of a network's shards.
#[derive(Debug, Clone)]
pub struct Leases {
    table: Table,
    network: Network,
}

impl Leases {
    /// The leases of this network in this table.
    pub fn new(table: Table, network: Network) -> Self {
        Self { table, network }
    }

    /// Beats. Must be called by one task of the daemon alone. A beat takes no later one's place: an attempt that was
    /// given up may land late, and others must not find a number again that they have seen before. Answers
    /// [`StorageError::Conflict`] where a later one is there.
    pub async fn beat(&self, beat: &Beat) -> Result<(), StorageError> {
        self.table
            .put(beat.to_item(self.network))
            .condition_expression("attribute_not_exists(#counter) OR #counter <= :counter")
            .expression_attribute_names("#counter", "counter")
            .expression_attribute_values(":counter", n(beat.counter))
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }

    /// All daemons' beats that can be read.
    pub async fn list_beats(&self) -> Result<Vec<Beat>, StorageError> {
        Ok(self.look_at_beats().await?.readable())
    }

    /// All daemons' beats, with what cannot be read.
    pub async fn look_at_beats(&self) -> Result<Listing<Beat>, StorageError> {
        let items = self.partition(keys::daemon(self.network, "").pk).await?;
        Ok(Listing::read(&items, Beat::from_item))
    }

    /// One daemon's beat.
    pub async fn get_beat(&self, daemon: &str) -> Result<Option<Beat>, StorageError> {
        let item = self.table.get(&keys::daemon(self.network, daemon)).await?;
        item.as_ref().map(Beat::from_item).transpose()
    }

    /// Removes a daemon's beat, when it stops in order.
    pub async fn retire(&self, daemon: &str) -> Result<(), StorageError> {
        self.table
            .delete(&keys::daemon(self.network, daemon))
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }

    /// All leases that were ever taken and can be read.
    pub async fn list_all(&self) -> Result<Vec<Lease>, StorageError> {
        Ok(self.look_at_leases().await?.readable())
    }

    /// All leases that were ever taken, with what cannot be read.
    pub async fn look_at_leases(&self) -> Result<Listing<Lease>, StorageError> {
        let items = self.partition(keys::lease(self.network, Shard(0)).pk).await?;
        Ok(Listing::read(&items, lease_from_item))
    }

    /// One shard's lease.
    pub async fn get(&self, shard: Shard) -> Result<Option<Lease>, StorageError> {
        let item = self.table.get(&keys::lease(self.network, shard)).await?;
        item.as_ref().map(lease_from_item).transpose()
    }

    /// Takes a shard whose lease was last seen with the token `seen`, `None` where it never had one. Answers the new
    /// token; `None` where another daemon was faster.
    pub async fn take(
        &self,
        shard: Shard,
        daemon: &str,
        seen: Option<u64>,
    ) -> Result<Option<u64>, StorageError> {
        let token = seen.unwrap_or(0) + 1;
        let mut item = keys::lease(self.network, shard).attributes();
        item.insert("shard".into(), n(shard));
        item.insert("owner".into(), s(daemon));
        item.insert("token".into(), n(token));
        let request = self.table.put(item);
        let request = match seen {
            None => request.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => request
                .condition_expression("#token = :seen")
                .expression_attribute_names("#token", "token")
                .expression_attribute_values(":seen", n(seen)),
        };
        match request.send().await {
            Ok(_) => Ok(Some(token)),
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(classify(error)),
        }
    }

    /// Gives a shard back. Does nothing where the lease is another's by now.
    pub async fn release(&self, shard: Shard, token: u64) -> Result<(), StorageError> {
        let sent = self
            .table
            .update(&keys::lease(self.network, shard))
            .update_expression("REMOVE #owner")
            .condition_expression("#token = :token")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":token", n(token))
            .send()
            .await;
        held(sent)?;
        Ok(())
    }

    /// The shard's owner, where it has one that looks alive. Two reads.
    pub async fn get_live_owner(
        &self,
        shard: Shard,
        now: DateTime<Utc>,
    ) -> Result<Option<LiveOwner>, StorageError> {
        let Some(lease) = self.get(shard).await? else {
            return Ok(None);
        };
        let Some(owner) = lease.owner else {
            return Ok(None);
        };
        let beat = self.get_beat(&owner).await?.filter(|beat| beat.looks_alive(now));
        Ok(beat.map(|beat| LiveOwner {
            token: lease.token,
            beat,
        }))
    }

    /// Removes the beats and the ownership that daemons of an earlier run have left. Only for a caller that knows
    /// that no other daemon works on this table.
    pub async fn forget_owners(&self) -> Result<(), StorageError> {
        for lease in self.list_all().await? {
            if lease.owner.is_some() {
                self.release(lease.shard, lease.token).await?;
            }
        }
        for beat in self.list_beats().await? {
            self.retire(&beat.daemon).await?;
        }
        Ok(())
    }

    async fn partition(&self, pk: String) -> Result<Vec<super::item::Item>, StorageError> {
        self.table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(pk))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(classify)
    }
}

fn lease_from_item(item: &super::item::Item) -> Result<Lease, StorageError> {
    let read = Reader::new("lease", item);
    Ok(Lease {
        shard: Shard(read.number("shard")?),
        owner: read.opt_str("owner")?.map(str::to_owned),
        token: read.number("token")?,
    })
}
