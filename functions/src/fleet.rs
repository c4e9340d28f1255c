//! All daemons of a network and the shards that they hold: for administrators. For single instances `Owners::of`
//! reads less.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shared::domain::network::Network;
use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Lease, Leases, LiveOwner};

use crate::http::ApiError;
use crate::state::Base;

/// A network's daemons and leases, as they were read once.
#[derive(Debug)]
pub struct Fleet {
    network: Network,
    leases: BTreeMap<Shard, Option<Lease>>,
    beats: Vec<Beat>,
}

impl Fleet {
    /// Reads a network's daemons and leases, with shards that nobody ever held. Two queries.
    pub async fn read(state: &Base, network: Network) -> Result<Self, ApiError> {
        let leases = Leases::new(state.table.clone(), network);
        let (held, beats) = tokio::try_join!(leases.list_all(), leases.list_beats())?;
        let mut all: BTreeMap<_, _> = (0..state.shards).map(|shard| (Shard(shard), None)).collect();
        all.extend(held.into_iter().map(|lease| (lease.shard, Some(lease))));
        Ok(Self {
            network,
            leases: all,
            beats,
        })
    }

    /// Which network's.
    pub fn network(&self) -> Network {
        self.network
    }

    /// The last beats of its daemons. One that died is among them for a day.
    pub fn beats(&self) -> &[Beat] {
        &self.beats
    }

    /// Its shards, each with the daemon that has its lease, which may have died.
    pub fn shards(&self) -> impl Iterator<Item = (Shard, Option<&str>)> {
        self.leases.iter().map(|(shard, lease)| {
            let owner = lease.as_ref().and_then(|lease| lease.owner.as_deref());
            (*shard, owner)
        })
    }

    /// The daemon that has a shard's lease, where it looks alive.
    pub fn living_owner(&self, shard: Shard, now: DateTime<Utc>) -> Option<LiveOwner> {
        let lease = self.leases.get(&shard)?.as_ref()?;
        let owner = lease.owner.as_deref()?;
        let beat = self.beats.iter().find(|beat| beat.daemon == owner)?;
        beat.looks_alive(now).then(|| LiveOwner {
            token: lease.token,
            beat: beat.clone(),
        })
    }
}
