//! How an instance's connection is, told honestly: what the daemon last wrote and whether
//! that daemon still lives, put together.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::network::Network;
use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Leases};

use crate::fleet::Fleet;
use crate::http::ApiError;
use crate::state::AppState;

/// The daemons that hold the shards of some instances, where they look alive.
#[derive(Debug)]
pub struct Presence(BTreeMap<(Network, Shard), Option<Beat>>);

/// How an instance's connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// How it is.
    pub status: Status,
    /// Since when, as the daemon wrote it.
    pub since: DateTime<Utc>,
    /// Why, where there is a reason to tell.
    pub reason: Option<String>,
    /// The last known round trip to WhatsApp.
    pub last_round_trip_at: Option<DateTime<Utc>>,
}

impl Presence {
    /// Looks up who holds the shards of these instances. Two reads a shard.
    pub async fn of<'a>(
        state: &AppState,
        instances: impl IntoIterator<Item = &'a Instance>,
    ) -> Result<Self, ApiError> {
        let now = state.clock.now();
        let mut owners = BTreeMap::new();
        for instance in instances {
            let place = (instance.network, instance.shard);
            // No daemon holds a socket for an instance that rests.
            if may_be_held(instance.observed.status) && !owners.contains_key(&place) {
                let leases = Leases::new(state.table.clone(), instance.network);
                owners.insert(place, leases.live_owner(instance.shard, now).await?);
            }
        }
        Ok(Self(owners))
    }

    /// The same of all shards of these networks, which are read already.
    pub fn in_fleets(fleets: &[Fleet], now: DateTime<Utc>) -> Self {
        let owners = fleets.iter().flat_map(|fleet| {
            fleet.shards().map(move |(shard, _)| {
                let owner = fleet.living_owner(shard, now).cloned();
                ((fleet.network(), shard), owner)
            })
        });
        Self(owners.collect())
    }

    /// How this instance's connection is.
    pub fn connection(&self, instance: &Instance) -> Connection {
        let observed = &instance.observed;
        let owner = self
            .0
            .get(&(instance.network, instance.shard))
            .and_then(Option::as_ref);
        let is_asked_anew =
            instance.desired.wanted == Wanted::Connected && instance.desired.generation > observed.generation;
        let (status, reason) = if may_be_held(observed.status) {
            match owner {
                Some(_) => (observed.status, observed.reason.clone()),
                None => (Status::Reconnecting, Some("NO_DAEMON".to_owned())),
            }
        } else if is_asked_anew {
            // The last attempt's end is not this one's.
            (Status::Connecting, None)
        } else {
            (observed.status, observed.reason.clone())
        };
        // A connected instance's daemon vouches for round trips with its beat.
        let vouched = owner
            .filter(|_| status == Status::Connected)
            .and_then(|beat| beat.round_trips_since);
        Connection {
            status,
            since: observed.since,
            reason,
            last_round_trip_at: observed.last_round_trip_at.max(vouched),
        }
    }
}

/// Whether the status says that a daemon is at work on the connection.
fn may_be_held(status: Status) -> bool {
    match status {
        Status::Connecting
        | Status::AwaitingQr
        | Status::AwaitingPairingCode
        | Status::AwaitingPasskey
        | Status::Connected
        | Status::Reconnecting => true,
        Status::Disconnected | Status::LoggedOut | Status::ForceDisconnected | Status::Banned => false,
    }
}
