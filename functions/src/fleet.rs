//! The daemons of a network and the shards that they hold, all at once: for administrators. Who
//! asks for some instances alone reads less with `Presence::of`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shared::domain::network::Network;
use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Leases};

use crate::http::ApiError;
use crate::state::AppState;

/// A network's daemons and leases, as they were read once.
#[derive(Debug)]
pub struct Fleet {
    network: Network,
    owners: BTreeMap<Shard, Option<String>>,
    beats: Vec<Beat>,
}

impl Fleet {
    /// Reads a network's. Two queries; shards that nobody ever held are among them.
    pub async fn read(state: &AppState, network: Network) -> Result<Self, ApiError> {
        let leases = Leases::new(state.table.clone(), network);
        let (held, beats) = tokio::try_join!(leases.leases(), leases.beats())?;
        let mut owners: BTreeMap<_, _> = (0..state.shards).map(|shard| (Shard(shard), None)).collect();
        owners.extend(held.into_iter().map(|lease| (lease.shard, lease.owner)));
        Ok(Self {
            network,
            owners,
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
        self.owners
            .iter()
            .map(|(shard, owner)| (*shard, owner.as_deref()))
    }

    /// The beat of the daemon that has a shard's lease, where that daemon looks alive.
    pub fn living_owner(&self, shard: Shard, now: DateTime<Utc>) -> Option<&Beat> {
        let owner = self.owners.get(&shard)?.as_deref()?;
        let beat = self.beats.iter().find(|beat| beat.daemon == owner)?;
        beat.looks_alive(now).then_some(beat)
    }
}
