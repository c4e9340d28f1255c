//! The honest state of an instance's connection. It is put together from what a daemon last wrote, whether that
//! daemon still has the shard, and whether it lives.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::network::Network;
use shared::domain::reason::Reason;
use shared::domain::shard::Shard;
use shared::storage::leases::{Leases, LiveOwner};

use crate::fleet::Fleet;
use crate::http::ApiError;
use crate::state::Base;

/// The daemons that hold the shards of some instances, where they look alive.
#[derive(Debug)]
pub struct Owners(BTreeMap<(Network, Shard), Option<LiveOwner>>);

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

impl Owners {
    /// Looks up who holds the shards of these instances. Two reads a shard.
    pub async fn of<'a>(
        state: &Base,
        instances: impl IntoIterator<Item = &'a Instance>,
    ) -> Result<Self, ApiError> {
        let now = state.clock.now();
        let mut owners = BTreeMap::new();
        for instance in instances {
            let place = (instance.network, instance.shard);
            // No daemon holds a socket for an instance that rests.
            if may_be_held(instance.observed.status) && !owners.contains_key(&place) {
                let leases = Leases::new(state.table.clone(), instance.network);
                owners.insert(place, leases.get_live_owner(instance.shard, now).await?);
            }
        }
        Ok(Self(owners))
    }

    /// The same for all shards of these networks, which were read before.
    pub fn in_fleets(fleets: &[Fleet], now: DateTime<Utc>) -> Self {
        let owners = fleets.iter().flat_map(|fleet| {
            fleet
                .shards()
                .map(move |(shard, _)| ((fleet.network(), shard), fleet.living_owner(shard, now)))
        });
        Self(owners.collect())
    }

    /// Whether the instance's status was written by the daemon that now has its shard and lives.
    pub fn is_vouched_for(&self, instance: &Instance) -> bool {
        let owner = self.0.get(&(instance.network, instance.shard));
        owner
            .and_then(Option::as_ref)
            .is_some_and(|owner| is_the_word_of(owner, instance))
    }

    /// How this instance's connection is.
    pub fn connection(&self, instance: &Instance) -> Connection {
        let observed = &instance.observed;
        let owner = self
            .0
            .get(&(instance.network, instance.shard))
            .and_then(Option::as_ref);
        let is_asked_anew =
            instance.wanted() == Wanted::Connected && instance.desired.generation > observed.generation;
        let (status, reason) = if is_logout_pending(instance) {
            (Status::Reconnecting, Some(Reason::LogoutPending.to_string()))
        } else if may_be_held(observed.status) {
            match owner {
                Some(owner) if is_the_word_of(owner, instance) => (observed.status, observed.reason.clone()),
                // The daemon that wrote it has lost the shard, and the next owner has not written yet.
                Some(_) => (Status::Reconnecting, None),
                None => (Status::Reconnecting, Some(Reason::NoDaemon.to_string())),
            }
        } else if is_asked_anew {
            // The reason tells how the last attempt ended, not this one.
            (Status::Connecting, None)
        } else {
            (observed.status, observed.reason.clone())
        };
        // A connected instance's daemon vouches for round trips with its beat.
        let vouched = owner
            .filter(|_| status == Status::Connected)
            .and_then(|owner| owner.beat.round_trips_since);
        Connection {
            status,
            since: observed.since,
            reason,
            last_round_trip_at: observed.last_round_trip_at.max(vouched),
        }
    }
}

/// Whether the lease's present owner wrote the status. What an earlier owner wrote was true in its time only.
fn is_the_word_of(owner: &LiveOwner, instance: &Instance) -> bool {
    instance.fence == Some(owner.token)
}

/// Whether the owner has logged the instance out, and its phone has not been told yet.
fn is_logout_pending(instance: &Instance) -> bool {
    let is_gone = matches!(instance.observed.status, Status::LoggedOut | Status::Banned);
    instance.desired.wanted == Wanted::LoggedOut && instance.account.is_some() && !is_gone
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
        Status::Disconnected
        | Status::LoggedOut
        | Status::ForceDisconnected
        | Status::Banned
        | Status::Unknown => false,
    }
}
