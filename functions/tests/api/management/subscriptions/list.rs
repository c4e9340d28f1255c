//! `GET /api/subscriptions` and `GET /api/subscriptions/{subscription}`.

use chrono::TimeDelta;
use serde_json::json;

use crate::management::people::{administrator, pages};
use crate::support::World;

#[tokio::test]
async fn pages_lead_from_the_newest_to_the_oldest() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let mut ids = vec![root.subscription.clone()];
    for email in ["a@example.com", "b@example.com", "c@example.com"] {
        world.clock.advance(TimeDelta::milliseconds(1));
        ids.insert(0, world.register(email).await.subscription);
    }
    let path = "/api/subscriptions";
    assert_eq!(pages(&root, path, "id").await, ids);
    let answer = root.get(&format!("{path}?cursor=Zm9yZ2Vk")).await;
    assert_eq!(
        answer.error(),
        "400 VALIDATION_ERROR: `cursor` must be a `nextCursor` of this list"
    );
}

#[tokio::test]
async fn one_is_shown_with_what_is_in_use() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    world.instance(&ada, "sales").await;
    let path = format!("/api/subscriptions/{}", ada.subscription);
    let data = root.get(&path).await.data(200);
    assert_eq!(data["id"], json!(ada.subscription));
    assert_eq!(data["instancesInUse"], json!(1));
    assert_eq!(data["messagesThisMonth"], json!(0));
    for id in ["sub_01JD0000000000000000000000", "x"] {
        let path = format!("/api/subscriptions/{id}");
        assert_eq!(root.get(&path).await.status, 404);
    }
}
