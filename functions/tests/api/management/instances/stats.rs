//! `GET /api/instances/{instance}/stats`.

use serde_json::json;
use shared::clock::Clock;
use shared::domain::counting::Counter;
use shared::domain::message::Kind;

use crate::support::World;

#[tokio::test]
async fn an_owner_sees_what_a_key_sees() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let counted = [Counter::Sent(Kind::Text), Counter::Delivered];
    let counters = &world.state.counters;
    counters
        .count(instance, &counted, world.clock.now())
        .await
        .expect("counted");
    let range = "?from=2025-12-31&to=2026-01-01";
    let path = format!("/api/instances/sales/stats{range}");
    let data = user.get(&path).await.data(200);
    assert_eq!(data["totals"]["sent"], json!(1));
    assert_eq!(data["days"].as_array().expect("a list").len(), 1);
    let same = key.get(&format!("/api/stats{range}")).await.data(200);
    assert_eq!(data, same);
    let path = "/api/instances/sales/stats?from=2026-01-02&to=2026-01-01";
    assert_eq!(user.get(path).await.status, 400);
}
