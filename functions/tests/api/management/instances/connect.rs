//! `POST /api/instances/{instance}/connect`.

use serde_json::json;
use shared::domain::instance::{Status, Wanted};
use shared::domain::job::Query;
use shared::domain::payload;

use crate::support::World;

#[tokio::test]
async fn what_is_wanted_is_stored_and_the_shard_nudged() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let path = "/api/instances/sales/connect";
    let data = user.post(path, ()).await.data(202);
    assert_eq!(data["status"], json!("CONNECTING"));
    let stored = world.stored(instance).await;
    assert_eq!(stored.desired.wanted, Wanted::Connected);
    assert_eq!(stored.desired.generation, 1);
    let nudges = world.waiting(&world.queue_names().queries(0)).await;
    assert_eq!(nudges.len(), 1);
    assert_eq!(
        payload::decode::<Query>(&nudges[0].body).expect("ours"),
        Query::Nudge { instance }
    );
}

#[tokio::test]
async fn a_failed_attempt_is_asked_for_again() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let path = format!("/api/instances/{instance}/connect");
    user.post(&path, ()).await.data(202);
    world.daemon.observe(instance, Status::ForceDisconnected).await;
    let status = "/api/instances/sales/status";
    let data = user.get(status).await.data(200);
    assert_eq!(data["status"], json!("FORCE_DISCONNECTED"));
    user.post(&path, ()).await.data(202);
    let data = user.get(status).await.data(200);
    assert_eq!(data["status"], json!("CONNECTING"));
    assert_eq!(world.stored(instance).await.desired.generation, 2);
}

#[tokio::test]
async fn a_lost_nudge_is_the_sweeps_to_find() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    world.queue.fail(true);
    let path = "/api/instances/sales/connect";
    user.post(path, ()).await.data(202);
    assert_eq!(world.stored(instance).await.desired.wanted, Wanted::Connected);
}
