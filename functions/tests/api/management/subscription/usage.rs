//! `GET /api/subscription` and `GET /api/subscription/usage`.

use chrono::TimeDelta;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn it_counts_instances_and_this_months_messages() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    for text in ["one", "two"] {
        let body = json!({"to": "15550100009", "text": text});
        key.send("text", body).await.data(202);
    }
    let usage = user.get("/api/subscription/usage").await.data(200);
    assert_eq!(
        usage,
        json!({
            "tier": "BASIC",
            "limits": {"instances": 5, "messagesPerMonth": 10_000},
            "instancesInUse": 1,
            "messagesThisMonth": 2,
            "renewsAt": "2026-02-01T00:00:00.000Z",
        })
    );
    let own = user.get("/api/subscription").await.data(200);
    assert_eq!(own["id"], json!(user.subscription));
    assert_eq!(own["active"], json!(true));
    for (name, value) in usage.as_object().expect("an object") {
        assert_eq!(own[name], *value, "{name}");
    }
}

#[tokio::test]
async fn the_count_begins_anew_with_the_month() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let body = json!({"to": "15550100009", "text": "one"});
    key.send("text", body).await.data(202);
    world.clock.advance(TimeDelta::days(28));
    let again = crate::management::people::login(&world, "ada@example.com").await;
    assert_eq!(again.subscription, user.subscription);
    let path = "/api/subscription/usage";
    assert_eq!(again.get(path).await.data(200)["messagesThisMonth"], json!(1));
    world.clock.advance(TimeDelta::days(3));
    let again = crate::management::people::login(&world, "ada@example.com").await;
    let usage = again.get(path).await.data(200);
    assert_eq!(usage["messagesThisMonth"], json!(0));
    assert_eq!(usage["renewsAt"], json!("2026-03-01T00:00:00.000Z"));
}
