//! `GET /api/admin/workers`.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::network::Network;
use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Leases, Load, Vitals};

use crate::management::people::administrator;
use crate::support::{User, World, config};

async fn workers(root: &User) -> Value {
    let data = root.get("/api/admin/workers").await.data(200);
    assert_eq!(data["networks"].as_array().map(Vec::len), Some(1));
    assert_eq!(data["networks"][0]["network"], json!("sandbox"));
    data["networks"][0].clone()
}

#[tokio::test]
async fn shards_that_nobody_ever_held_are_listed() {
    let world = World::with(|_| {
        let mut config = config();
        config.base.common.shards = 2;
        config
    })
    .await;
    let root = administrator(&world, "root@example.com").await;
    let none = |shard: u32| json!({"shard": shard, "daemon": null, "served": false});
    let expected = json!({"network": "sandbox", "daemons": [], "shards": [none(0), none(1)]});
    assert_eq!(workers(&root).await, expected);
}

#[tokio::test]
async fn a_daemon_is_told_of_as_it_told_and_its_shards_as_they_are_held() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let leases = Leases::new(world.state.table.clone(), Network::Sandbox);
    let mut beat = Beat {
        daemon: "daemon_b".into(),
        counter: 7,
        duration_ms: 4_000,
        at: world.clock.now(),
        round_trips_since: None,
        draining: false,
        vitals: Some(Vitals {
            version: "1.2.3".into(),
            started_at: world.clock.now() - TimeDelta::hours(1),
            resident_bytes: Some(50_000_000),
            load: Load {
                sessions_held: 5,
                sessions_connected: 4,
                jobs_in_hand: 3,
                sent_last_minute: 2,
            },
        }),
    };
    leases.beat(&beat).await.expect("stored");
    // One of an older version, which tells nothing of itself, and which died a minute ago.
    let older = Beat {
        daemon: "daemon_a".into(),
        at: world.clock.now() - TimeDelta::minutes(1),
        vitals: None,
        ..beat.clone()
    };
    leases.beat(&older).await.expect("stored");
    for (shard, owner) in [(2, "daemon_b"), (0, "daemon_b"), (1, "daemon_a")] {
        let taken = leases.take(Shard(shard), owner, None).await.expect("answered");
        taken.expect("free");
    }
    leases
        .take(Shard(3), "daemon_b", None)
        .await
        .expect("answered")
        .expect("free");
    leases.release(Shard(3), 1).await.expect("released");

    let told = workers(&root).await;
    let newer = json!({
        "id": "daemon_b",
        "version": "1.2.3",
        "startedAt": "2025-12-31T23:00:00.000Z",
        "lastBeatAt": "2026-01-01T00:00:00.000Z",
        "alive": true,
        "shards": [0, 2],
        "sessions": {"connected": 4, "held": 5},
        "load": {"jobsInHand": 3, "sentLastMinute": 2},
        "memoryBytes": 50_000_000,
    });
    let dead = json!({
        "id": "daemon_a",
        "version": null,
        "startedAt": null,
        "lastBeatAt": "2025-12-31T23:59:00.000Z",
        "alive": false,
        "shards": [1],
        "sessions": null,
        "load": null,
        "memoryBytes": null,
    });
    assert_eq!(told["daemons"], json!([dead, newer]));
    let shards = [
        (0, json!("daemon_b"), true),
        (1, json!("daemon_a"), false),
        (2, json!("daemon_b"), true),
        (3, Value::Null, false),
    ];
    let shards =
        shards.map(|(shard, daemon, served)| json!({"shard": shard, "daemon": daemon, "served": served}));
    assert_eq!(told["shards"], json!(shards));

    // It states four seconds, and clocks may differ by five.
    world.clock.advance(TimeDelta::seconds(9));
    assert_eq!(workers(&root).await["daemons"][1]["alive"], json!(true));
    world.clock.advance(TimeDelta::milliseconds(1));
    let silent = workers(&root).await;
    assert_eq!(silent["daemons"][1]["alive"], json!(false));
    assert_eq!(silent["shards"][0]["served"], json!(false));
    beat.at = world.clock.now();
    leases.beat(&beat).await.expect("stored");
    assert_eq!(workers(&root).await["shards"][0]["served"], json!(true));
}
