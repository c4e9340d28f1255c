//! What a message costs that is due later.

use chrono::{DateTime, TimeDelta, Utc};
use daemon::whatsapp::NETWORK;
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use shared::domain::shard::Shard;
use shared::storage::schedule::Schedule;
use testbed::wait::until;
use tests::flow::{Paired, exchange, pair, unique};

use super::world::World;
use super::{Cost, cost, total};

/// The design's bounds for accepting any message, with an idempotency key and without.
const MOST: [Cost; 2] = [cost(4, 4, 1), cost(5, 4, 1)];

/// Quota, the day's number, record and entry; the shard is told only of what is due soon.
const TODAY: [Cost; 2] = [cost(4, 3, 0), cost(5, 3, 0)];

/// From its request to `sent`: acceptance; its record as `queued`, its count as waiting and the removal of its entry;
/// its record as `sent` and the count of that.
const WRITES_TO_SENT: u64 = 4 + 3 + 2;

/// The reminder, and the job.
const SENDS_TO_SENT: u64 = 2;

async fn accept(world: &World, paired: &Paired, at: DateTime<Utc>, key: Option<&str>) -> (Cost, String) {
    let sends = world.queue.sends();
    world.api_meter.settled_bill().await;
    let caller = match key {
        Some(value) => &paired.key.with_header("idempotency-key", value),
        None => &paired.key,
    };
    let body =
        json!({"to": paired.other, "text": format!("Later {}", unique()), "scheduledAt": at.to_rfc3339()});
    let accepted = caller.send("text", body).await.data(202);
    let units = total(&[&world.api_meter.settled_bill().await]);
    let cost = Cost {
        units,
        sends: world.queue.sends() - sends,
    };
    (cost, accepted["id"].as_str().expect("an id").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_for_later_costs_what_the_design_says() {
    let world = World::start().await;
    let paired = pair(&world.bases, &world.phones).await;
    exchange(&paired, &world.phones).await;
    let instance = world.instance(&paired).await;
    let next_week = SystemClock.now() + TimeDelta::days(7);
    for (key, (most, today)) in [None, Some("a key")].iter().zip(MOST.iter().zip(TODAY)) {
        // The recipient's entry in the directory is read once in some seconds.
        let (first, _) = accept(&world, &paired, next_week, *key).await;
        assert!(
            first.units.writes <= most.units.writes && first.units.half_reads <= most.units.half_reads,
            "{first:?}"
        );
        assert!(first.units.half_reads <= today.units.half_reads, "{first:?}");
        assert_eq!(
            (first.units.writes, first.sends),
            (today.units.writes, today.sends)
        );
    }

    // The daemon's looks at the index cost reads as long as it lives, and no writes.
    let counted = world.counts(instance).await.sent;
    let sends = world.queue.sends();
    world.phone_is(&paired.other, "offline").await;
    world.daemon_meter.settled_bill().await;
    // In the future still when the request is read, on the busiest machine.
    let due = SystemClock.now() + TimeDelta::seconds(10);
    let (accepted, message) = accept(&world, &paired, due, None).await;
    let schedule = Schedule::new(world.table.clone());
    until(
        "its sending, its count and the removal of its entry",
        async || {
            let is_sent = world.state(instance, &message).await == "sent";
            let first = schedule.first(NETWORK, Shard(0)).await.expect("read");
            let is_counted = world.counts(instance).await.sent > counted;
            (is_sent && is_counted && first.is_none_or(|first| first > due)).then_some(())
        },
    )
    .await;
    let living = total(&[&world.daemon_meter.settled_bill().await]);
    assert_eq!(accepted.units.writes + living.writes, WRITES_TO_SENT);
    assert_eq!(world.queue.sends() - sends, SENDS_TO_SENT);
    world.daemon_kept_to_its_rights();
}
