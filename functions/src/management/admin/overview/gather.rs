//! Counts what the overview tells. It walks the indexes `list` and `shard`, never the table:
//!
//! | what | read units |
//! | --- | --- |
//! | subscriptions and users | half a unit for each 4 KiB of their items: some 8 to 16 of them |
//! | messages of the month | half a unit a subscription |
//! | instances | half a unit for each, and for each shard one query |
//! | messages of the day | half a unit an instance |
//! | daemons | two queries a network |
//!
//! and asks two queues a shard and four a network for their depth. With 1,000 subscriptions
//! of one user and two instances each that is some 2,600 read units, in about 120 requests.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shared::domain::account::Tier;
use shared::domain::instance::{Instance, Status};
use shared::domain::network::Network;
use shared::ids::{InstanceId, SubscriptionId};
use shared::queue::QueueName;

use super::{
    Daemons, Instances, Messages, NetworkTotals, Queues, Response, Subscriptions, TierTotals, Users, Waiting,
};
use crate::connection::Owners;
use crate::fleet::Fleet;
use crate::http::ApiError;
use crate::management::ManagementState;

/// How many entries of a list are asked for at once: some hundred from each of the keys that it is spread over.
const PAGE: u32 = 500;

/// Everything, as of `now`. Independent parts are asked for at once, since a caller waits for all of it. Within a
/// part it is one request after the other, so that callers of other routes come first where one process serves
/// everything.
pub async fn all(state: &ManagementState, now: DateTime<Utc>) -> Result<Response, ApiError> {
    let accounts = async {
        let (subscriptions, ids) = subscriptions(state).await?;
        let accepted = state.counters.used_of_quotas(&ids, now).await?;
        Ok::<_, ApiError>((subscriptions, accepted))
    };
    let connections = async {
        let mut fleets = Vec::new();
        for network in Network::ALL {
            fleets.push(Fleet::read(state, *network).await?);
        }
        let instances = instances(state, &fleets).await?;
        let ids: Vec<InstanceId> = instances.iter().map(|instance| instance.id).collect();
        let today = state.counters.day_of(&ids, now).await?;
        Ok::<_, ApiError>((fleets, instances, today))
    };
    let (accounts, users, connections) = tokio::try_join!(accounts, users(state), connections)?;
    let ((subscriptions, accepted_this_month), (fleets, instances, today)) = (accounts, connections);
    let owners = Owners::in_fleets(&fleets, now);
    let mut networks = Vec::new();
    for fleet in &fleets {
        let instances = of_network(fleet.network(), &instances, &owners);
        let is_served = state.networks.contains(&fleet.network());
        if is_served || instances.total > 0 {
            networks.push(NetworkTotals {
                network: fleet.network(),
                instances,
                daemons: daemons(fleet, now),
                queues: if is_served {
                    Some(queues(state, fleet.network()).await?)
                } else {
                    None
                },
            });
        }
    }
    Ok(Response {
        generated_at: now.into(),
        subscriptions,
        users,
        messages: Messages {
            accepted_this_month,
            today: (&today).into(),
        },
        networks,
    })
}

async fn subscriptions(state: &ManagementState) -> Result<(Subscriptions, Vec<SubscriptionId>), ApiError> {
    let by_tier = Tier::ALL.iter().map(|tier| (*tier, TierTotals::default()));
    let mut totals = Subscriptions {
        by_tier: by_tier.collect(),
        ..Subscriptions::default()
    };
    let mut ids = Vec::new();
    loop {
        let page = state
            .accounts
            .list_subscriptions(ids.last().copied(), PAGE)
            .await?;
        let is_last = is_last(page.len());
        for subscription in page {
            let of_tier = totals.by_tier.entry(subscription.tier).or_default();
            if subscription.active {
                of_tier.active += 1;
                totals.active += 1;
            } else {
                of_tier.inactive += 1;
                totals.inactive += 1;
            }
            totals.total += 1;
            ids.push(subscription.id);
        }
        if is_last {
            return Ok((totals, ids));
        }
    }
}

async fn users(state: &ManagementState) -> Result<Users, ApiError> {
    let mut totals = Users::default();
    let mut last = None;
    loop {
        let page = state.accounts.list_users(last, PAGE).await?;
        last = page.last().map(|user| user.id);
        for user in &page {
            totals.total += 1;
            totals.active += u64::from(user.active);
            totals.administrators += u64::from(user.is_active_administrator());
        }
        if is_last(page.len()) {
            return Ok(totals);
        }
    }
}

/// Whether a page of so many things is a list's last.
fn is_last(things: usize) -> bool {
    u32::try_from(things).is_ok_and(|things| things < PAGE)
}

/// The instances of all shards that there are.
async fn instances(state: &ManagementState, fleets: &[Fleet]) -> Result<Vec<Instance>, ApiError> {
    let mut found = Vec::new();
    for fleet in fleets {
        for (shard, _) in fleet.shards() {
            found.extend(
                state
                    .instances
                    .list_recent_by_shard(fleet.network(), shard)
                    .await?,
            );
        }
    }
    Ok(found)
}

fn of_network(network: Network, instances: &[Instance], owners: &Owners) -> Instances {
    let mut totals = Instances {
        total: 0,
        by_status: Status::ALL
            .iter()
            .map(|status| (*status, 0))
            .collect::<BTreeMap<_, _>>(),
    };
    for instance in instances.iter().filter(|instance| instance.network == network) {
        totals.total += 1;
        *totals
            .by_status
            .entry(owners.connection(instance).status)
            .or_default() += 1;
    }
    totals
}

fn daemons(fleet: &Fleet, now: DateTime<Utc>) -> Daemons {
    let count = |things: usize| u64::try_from(things).unwrap_or(u64::MAX);
    let unserved = fleet
        .shards()
        .filter(|(shard, _)| fleet.living_owner(*shard, now).is_none());
    Daemons {
        alive: count(fleet.beats().iter().filter(|beat| beat.looks_alive(now)).count()),
        shards: count(fleet.shards().count()),
        shards_unserved: count(unserved.count()),
    }
}

async fn queues(state: &ManagementState, network: Network) -> Result<Queues, ApiError> {
    let names = state.queue_names(network)?;
    let of_shards = |name: &dyn Fn(u32) -> QueueName| (0..state.shards).map(name).collect::<Vec<_>>();
    let dead = depth(state, vec![names.dead(), names.dead_fifo()]).await?;
    Ok(Queues {
        sends: depth(state, of_shards(&|shard| names.sends(shard))).await?,
        queries: depth(state, of_shards(&|shard| names.queries(shard))).await?,
        events: depth(state, vec![names.events(), names.events_retry()]).await?,
        dead_letters: dead.visible + dead.in_flight,
    })
}

/// What waits in these queues, in all.
async fn depth(state: &ManagementState, queues: Vec<QueueName>) -> Result<Waiting, ApiError> {
    let mut waiting = Waiting::default();
    for queue in queues {
        waiting += state.queue.depth(&queue).await?;
    }
    Ok(waiting)
}
