//! A key's own rate limit, and when it was used.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;

use crate::support::{PASSWORD, World};

const INFO: &str = "/api/instance/info";

#[tokio::test]
async fn a_key_has_a_limit_of_its_own_that_every_answer_tells() {
    let world = World::new().await;
    let (user, instance, other) = world.ready().await;
    let key = world.key(&user, instance, json!({"rateLimit": 3})).await;
    for left in ["2", "1", "0"] {
        let answer = key.get(INFO).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit"), "3");
        assert_eq!(answer.header("x-ratelimit-remaining"), left);
        assert_eq!(answer.header("x-ratelimit-reset"), "1767229200");
    }
    world.clock.advance(TimeDelta::minutes(40));
    let refused = key.get(INFO).await;
    assert_eq!(
        refused.error(),
        "429 RATE_LIMITED: Too many requests: 3 are allowed, and the count begins anew at 01:00:00 UTC"
    );
    assert_eq!(refused.header("retry-after"), "1200");
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
    assert_eq!(other.get(INFO).await.status, 200);
    world.clock.advance(TimeDelta::minutes(20));
    assert_eq!(key.get(INFO).await.header("x-ratelimit-remaining"), "2");
}

#[tokio::test]
async fn requests_at_once_are_all_counted() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let key = world.key(&user, instance, json!({"rateLimit": 20})).await;
    let answers = join_all((0..50).map(|_| key.get(INFO))).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(served, 20);
    assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)));
}

#[tokio::test]
async fn a_key_tells_the_hour_of_its_last_use() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let last = async || {
        // The hours of this test outlive an access token.
        let body = json!({"email": "ada@example.com", "password": PASSWORD});
        let login = world.nobody.post("/api/auth/login", body).await.data(200);
        let token = login["tokens"]["accessToken"].as_str().expect("a token");
        let keys = world
            .caller(token)
            .get("/api/instances/sales/keys")
            .await
            .data(200);
        keys[0]["lastUsedAt"].clone()
    };
    assert_eq!(last().await, json!(null));
    world.clock.advance(TimeDelta::minutes(10));
    key.get(INFO).await;
    assert_eq!(last().await, json!("2026-01-01T00:00:00.000Z"));
    world.clock.advance(TimeDelta::hours(2));
    key.get(INFO).await;
    key.get(INFO).await;
    assert_eq!(last().await, json!("2026-01-01T02:00:00.000Z"));
}
