//! Another secret.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::domain::audit::Action;

use super::{WEBHOOK, confidential, hook, keeper};
use crate::management::people;
use crate::support::World;

const ROTATE: &str = "/api/instances/sales/webhook/rotate-secret";

fn secret(data: &Value) -> String {
    data["secret"].as_str().expect("a secret").to_owned()
}

#[tokio::test]
async fn both_secrets_sign_during_the_grace() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let key = keeper(&world, &user, instance).await;
    assert_eq!(
        user.post(ROTATE, ()).await.error(),
        "404 NOT_FOUND: There is no such webhook"
    );
    let first = secret(&user.put(WEBHOOK, hook()).await.data(200));
    let rotated = user.post(ROTATE, ()).await.data(200);
    let second = secret(&rotated);
    assert_ne!(first, second);
    assert_eq!(
        rotated["previousSecretUntil"],
        json!("2026-01-02T00:00:00.000Z"),
        "a day"
    );
    let signing = async || -> Vec<String> {
        let rests = confidential(&world, instance).await;
        let signing = rests.signing(world.now());
        signing.map(|secret| secret.reveal().to_owned()).collect()
    };
    assert_eq!(signing().await, [second.clone(), first.clone()]);
    world.clock.advance(TimeDelta::hours(1));
    // The answer to that rotation was lost: what the endpoint knows signs on until its own end.
    let third = secret(
        &key.post("/api/webhook/rotate-secret", json!({"graceSeconds": 60}))
            .await
            .data(200),
    );
    assert_eq!(signing().await, [third.clone(), second, first.clone()]);
    world.clock.advance(TimeDelta::seconds(60));
    assert_eq!(signing().await, [third.clone(), first]);
    let rotated = async || people::audited(&world, Action::WebhookSecretRotated).await.len();
    assert_eq!(rotated().await, 2, "on the first day");
    world.clock.advance(TimeDelta::hours(23));
    assert_eq!(signing().await, [third]);
    let shown = key.get("/api/webhook").await.data(200);
    assert_eq!(shown["previousSecretUntil"], json!(null));
    assert_eq!(shown["rotatedAt"], json!("2026-01-01T01:00:00.000Z"));
    // Settings do not touch it.
    key.put("/api/webhook", hook()).await.data(200);
    let fourth = secret(
        &key.post("/api/webhook/rotate-secret", json!({"graceSeconds": 0}))
            .await
            .data(200),
    );
    assert_eq!(signing().await, [fourth]);
    assert_eq!(rotated().await, 1, "on the second day");
    let answer = key
        .post("/api/webhook/rotate-secret", json!({"graceSeconds": 604_801}))
        .await;
    assert_eq!(
        answer.error(),
        "400 VALIDATION_ERROR: `graceSeconds` must be a whole number from 0 to 604800"
    );
}

#[tokio::test]
async fn rotations_at_once_each_show_a_secret_that_was_the_present_one() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let first = secret(&user.put(WEBHOOK, hook()).await.data(200));
    let rotating = (0..3).map(|_| user.post(ROTATE, ()));
    let answers = join_all(rotating).await;
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(!done.is_empty());
    let rests = confidential(&world, instance).await;
    let shown: Vec<_> = done.iter().map(|answer| secret(&answer.data(200))).collect();
    assert!(shown.contains(&rests.secret.reveal().to_owned()));
    let signing: Vec<_> = rests
        .signing(world.now())
        .map(|secret| secret.reveal().to_owned())
        .collect();
    assert!(signing.contains(&first), "what the endpoint knows still signs");
}
