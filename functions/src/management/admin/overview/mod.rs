//! `GET /api/admin/overview`: totals over the whole deployment.
//!
//! Nothing keeps these totals, so they are counted when somebody asks, and the answer is given again for a while
//! ([`cached`]). See [`gather`] for what it reads.

mod cached;
mod gather;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use shared::domain::account::Tier;
use shared::domain::instance::Status;
use shared::domain::network::Network;
use shared::queue::Depth;
use utoipa::ToSchema;

use self::cached::Cached;
use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Reply, Timestamp};
use crate::management::ManagementState;
use crate::openapi::Tag;
use crate::statistics::Totals;

/// How long making one may take. It lies below the request's own deadline.
const DEADLINE: Duration = Duration::from_secs(20);

/// Seconds after which another attempt makes sense, if that was too short.
const RETRY_AFTER: u32 = 30;

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Overview)]
pub struct Response {
    /// As of when: some seconds ago, or some minutes in a large deployment.
    generated_at: Timestamp,
    subscriptions: Subscriptions,
    users: Users,
    messages: Messages,
    /// The networks that this deployment serves, and those on which instances are left.
    networks: Vec<NetworkTotals>,
}

#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SubscriptionTotals)]
struct Subscriptions {
    total: u64,
    active: u64,
    inactive: u64,
    by_tier: BTreeMap<Tier, TierTotals>,
}

#[derive(Debug, Clone, Default, Serialize, ToSchema)]
struct TierTotals {
    active: u64,
    inactive: u64,
}

#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = UserTotals)]
struct Users {
    total: u64,
    active: u64,
    /// Active administrators.
    administrators: u64,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageTotals)]
struct Messages {
    /// Accepted in this calendar month (UTC), as quotas count them.
    accepted_this_month: u64,
    /// What happened today (UTC) to messages of the instances that there are now.
    today: Totals,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct NetworkTotals {
    network: Network,
    instances: Instances,
    daemons: Daemons,
    /// `null` where this deployment does not serve the network.
    queues: Option<Queues>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InstanceTotals)]
struct Instances {
    total: u64,
    /// By the status that `/status` shows: an instance whose shard no daemon serves is not
    /// connected, whatever was written last.
    by_status: BTreeMap<Status, u64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DaemonTotals)]
struct Daemons {
    /// Daemons that are alive.
    alive: u64,
    shards: u64,
    /// Shards that no living daemon holds.
    shards_unserved: u64,
}

/// What waits in a network's queues; approximate, and seconds old, where SQS tells it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Queues {
    /// Messages to send.
    sends: Waiting,
    /// What daemons are asked for.
    queries: Waiting,
    /// What happened, for webhooks.
    events: Waiting,
    /// What a person must look at.
    dead_letters: u64,
}

#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QueueDepth)]
struct Waiting {
    visible: u64,
    /// Taken by a consumer, and not done with.
    in_flight: u64,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    let told = Arc::<Cached<Response>>::default();
    let handler = move |state, caller| handler(state, caller, Arc::clone(&told));
    Endpoint::new(Method::GET, "/api/admin/overview", "getOverview", handler)
        .about(Tag::Administration, "Tells totals over the whole deployment")
        .details("An answer may be some seconds old, or some minutes in a large deployment: `generatedAt` says from when it is.")
}

/// `told` is what administrators were last told.
pub async fn handler(
    State(state): State<ManagementState>,
    _: Administrator,
    told: Arc<Cached<Response>>,
) -> Result<Reply<Response>, ApiError> {
    let make = || gather::all(&state, state.clock.now());
    let late = || ApiError::unavailable(RETRY_AFTER);
    let overview = told.get(&state.clock, DEADLINE, make, late).await?;
    Ok(Reply::ok(overview))
}

impl std::ops::AddAssign<Depth> for Waiting {
    fn add_assign(&mut self, depth: Depth) {
        self.visible += depth.visible + depth.delayed;
        self.in_flight += depth.in_flight;
    }
}
