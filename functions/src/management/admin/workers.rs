//! `GET /api/admin/workers`: the connection daemons, as they told of themselves with their
//! last beat, and the shards that they hold.

use axum::extract::State;
use axum::http::Method;
use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use serde::Serialize;
use shared::domain::network::Network;
use shared::storage::leases::{Beat, Load};
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::fleet::Fleet;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Reply, Timestamp};
use crate::management::ManagementState;
use crate::openapi::Tag;

#[derive(Serialize, ToSchema)]
#[schema(as = Workers)]
pub struct Response {
    networks: Vec<NetworkWorkers>,
}

/// The daemons and shards of a network that this deployment serves.
#[derive(Serialize, ToSchema)]
struct NetworkWorkers {
    network: Network,
    /// Oldest first. One that died is among them for a day.
    daemons: Vec<Worker>,
    shards: Vec<ShardView>,
}

/// A connection daemon. What it tells of itself was so at its last beat, a second ago where it
/// is alive; members are `null` where its version does not tell them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Worker {
    #[schema(example = "daemon_01JD0000000000000000000000")]
    id: String,
    #[schema(example = "0.1.0")]
    version: Option<String>,
    started_at: Option<Timestamp>,
    last_beat_at: Timestamp,
    /// Whether it has beaten within its lease, give or take what clocks differ by.
    alive: bool,
    /// The shards whose leases it has.
    shards: Vec<u32>,
    sessions: Option<Sessions>,
    load: Option<LoadView>,
    /// Resident memory of its process.
    memory_bytes: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WorkerSessions)]
struct Sessions {
    /// Logged in.
    connected: u64,
    /// Connected, or to be connected.
    held: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkerLoad)]
struct LoadView {
    /// Messages taken from the queues, and not sent yet.
    jobs_in_hand: u64,
    /// Messages that WhatsApp acknowledged in the last minute.
    sent_last_minute: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Shard)]
struct ShardView {
    shard: u32,
    /// The daemon that has its lease; `null` where none has.
    #[schema(example = "daemon_01JD0000000000000000000000")]
    daemon: Option<String>,
    /// Whether that daemon is alive.
    served: bool,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/admin/workers", "listWorkers", handler).about(
        Tag::Administration,
        "Lists the connection daemons and their shards",
    )
}

pub async fn handler(
    State(state): State<ManagementState>,
    _: Administrator,
) -> Result<Reply<Response>, ApiError> {
    let reading = state.networks.iter().map(|network| Fleet::read(&state, *network));
    let fleets = try_join_all(reading).await?;
    let now = state.clock.now();
    let networks = fleets.iter().map(|fleet| NetworkWorkers::new(fleet, now));
    Ok(Reply::ok(Response {
        networks: networks.collect(),
    }))
}

impl NetworkWorkers {
    fn new(fleet: &Fleet, now: DateTime<Utc>) -> Self {
        let shards = fleet.shards().map(|(shard, owner)| ShardView {
            shard: shard.0,
            daemon: owner.map(str::to_owned),
            served: fleet.living_owner(shard, now).is_some(),
        });
        Self {
            network: fleet.network(),
            daemons: fleet
                .beats()
                .iter()
                .map(|beat| worker(fleet, beat, now))
                .collect(),
            shards: shards.collect(),
        }
    }
}

fn worker(fleet: &Fleet, beat: &Beat, now: DateTime<Utc>) -> Worker {
    let held = fleet.shards().filter(|(_, owner)| *owner == Some(&beat.daemon));
    let vitals = beat.vitals.as_ref();
    Worker {
        id: beat.daemon.clone(),
        version: vitals.map(|vitals| vitals.version.clone()),
        started_at: vitals.map(|vitals| vitals.started_at.into()),
        last_beat_at: beat.at.into(),
        alive: beat.looks_alive(now),
        shards: held.map(|(shard, _)| shard.0).collect(),
        sessions: vitals.map(|vitals| vitals.load.into()),
        load: vitals.map(|vitals| vitals.load.into()),
        memory_bytes: vitals.and_then(|vitals| vitals.resident_bytes),
    }
}

impl From<Load> for Sessions {
    fn from(load: Load) -> Self {
        Self {
            connected: load.sessions_connected,
            held: load.sessions_held,
        }
    }
}

impl From<Load> for LoadView {
    fn from(load: Load) -> Self {
        Self {
            jobs_in_hand: load.jobs_in_hand,
            sent_last_minute: load.sent_last_minute,
        }
    }
}
