//! Listing, changing, rotating and revoking keys.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::clock::Clock;

use crate::support::{Answer, World, request};

const KEYS: &str = "/api/instances/sales/keys";
const UNUSED: &str = "/api/instance/info";

async fn send(world: &World, token: &str, method: &str, path: &str, body: Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    world.send(request(method, token, path, body.into())).await
}

/// Makes a key; answers its path and secret.
async fn key(world: &World, token: &str, name: &str) -> (String, String) {
    let data = world.post(token, KEYS, json!({"name": name})).await.data(201);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (format!("{KEYS}/{}", text(&data["id"])), text(&data["key"]))
}

#[tokio::test]
async fn keys_are_listed_in_pages_without_their_secrets() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    for name in ["one", "two", "three"] {
        world.clock.advance(TimeDelta::milliseconds(1));
        key(&world, &user.token, name).await;
    }
    let page = world.get(&user.token, &format!("{KEYS}?limit=3")).await;
    let names: Vec<_> = page
        .data(200)
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| {
            assert_eq!(key.get("key"), None);
            key["name"].clone()
        })
        .collect();
    assert_eq!(names, [json!("three"), json!("two"), json!("one")]);
    let cursor = page.json()["meta"]["pagination"]["nextCursor"].clone();
    let rest = format!("{KEYS}?cursor={}", cursor.as_str().expect("there is more"));
    let rest = world.get(&user.token, &rest).await;
    assert_eq!(rest.data(200).as_array().map(Vec::len), Some(1));
    assert_eq!(rest.json()["meta"]["pagination"]["nextCursor"], json!(null));
    let forged = world.get(&user.token, &format!("{KEYS}?cursor=abc")).await;
    assert_eq!(
        forged.error(),
        "400 VALIDATION_ERROR: `cursor` must be a `nextCursor` of this list"
    );
}

#[tokio::test]
async fn a_changed_key_obeys_at_once() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, secret) = key(&world, &user.token, "backend").await;
    assert_eq!(world.get(&secret, UNUSED).await.status, 200);
    let until = (world.clock.now() + TimeDelta::minutes(1)).to_rfc3339();
    let change = json!({"name": "old backend", "scopes": ["messages:send"], "expiresAt": until});
    let data = send(&world, &user.token, "PATCH", &path, change).await.data(200);
    assert_eq!(data["name"], json!("old backend"));
    assert_eq!(data["scopes"], json!(["messages:send"]));
    assert_eq!(
        world.get(&secret, UNUSED).await.error(),
        "403 INSUFFICIENT_SCOPE: The API key lacks the scope `instance:read`"
    );
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(
        world.get(&secret, UNUSED).await.error(),
        "401 UNAUTHENTICATED: The API key has expired"
    );
    // What is not named stays; `null` takes the end away.
    let change = json!({"expiresAt": null});
    let data = send(&world, &user.token, "PATCH", &path, change).await.data(200);
    assert_eq!(data["scopes"], json!(["messages:send"]));
    assert_eq!(data["expiresAt"], json!(null));
    let lacks = "403 INSUFFICIENT_SCOPE: The API key lacks the scope `instance:read`";
    assert_eq!(world.get(&secret, UNUSED).await.error(), lacks);
    let wrong = json!({"scopes": [], "rateLimit": 0, "allowedCidrs": ["x"]});
    let answer = send(&world, &user.token, "PATCH", &path, wrong).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: Some fields are not valid");
}

#[tokio::test]
async fn a_rotated_key_has_a_grace_of_its_own() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, first) = key(&world, &user.token, "backend").await;
    let rotate = format!("{path}/rotate");
    let rotated = send(&world, &user.token, "POST", &rotate, json!({"graceSeconds": 60})).await;
    let data = rotated.data(200);
    let second = data["key"].as_str().expect("a secret").to_owned();
    assert_eq!(data["prefix"], json!(&second[..15]));
    for secret in [&first, &second] {
        assert_eq!(world.get(secret, UNUSED).await.status, 200);
    }
    world.clock.advance(TimeDelta::seconds(60));
    assert_eq!(
        world.get(&first, UNUSED).await.error(),
        "401 UNAUTHENTICATED: The API key has expired"
    );
    assert_eq!(world.get(&second, UNUSED).await.status, 200);
    // Without a grace, and without a body.
    let data = send(&world, &user.token, "POST", &rotate, Value::Null)
        .await
        .data(200);
    assert_eq!(
        world.get(&second, UNUSED).await.error(),
        "401 UNAUTHENTICATED: The API key has been revoked"
    );
    let third = data["key"].as_str().expect("a secret");
    assert_eq!(world.get(third, UNUSED).await.status, 200);
    let answer = send(
        &world,
        &user.token,
        "POST",
        &rotate,
        json!({"graceSeconds": 604_801}),
    )
    .await;
    assert_eq!(
        answer.error(),
        "400 VALIDATION_ERROR: `graceSeconds` must be a whole number from 0 to 604800"
    );
}

#[tokio::test]
async fn of_ten_rotations_at_once_each_secret_given_out_last_is_good() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, _) = key(&world, &user.token, "backend").await;
    let rotate = format!("{path}/rotate");
    let answers = join_all((0..10).map(|_| send(&world, &user.token, "POST", &rotate, json!({})))).await;
    let mut good = 0;
    for answer in &answers {
        match answer.status {
            200 => {
                let data = answer.data(200);
                let secret = data["key"].as_str().expect("a secret");
                good += usize::from(world.get(secret, UNUSED).await.status == 200);
            }
            _ => assert_eq!(answer.json()["error"]["code"], json!("CONFLICT")),
        }
    }
    assert_eq!(good, 1, "one secret is good in the end");
}

#[tokio::test]
async fn a_revoked_key_stops_at_once_with_all_its_secrets() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, first) = key(&world, &user.token, "backend").await;
    let rotate = format!("{path}/rotate");
    let body = json!({"graceSeconds": 600});
    let data = send(&world, &user.token, "POST", &rotate, body).await.data(200);
    let second = data["key"].as_str().expect("a secret").to_owned();
    send(&world, &user.token, "DELETE", &path, Value::Null)
        .await
        .data(200);
    for secret in [&first, &second] {
        assert_eq!(
            world.get(secret, UNUSED).await.error(),
            "401 UNAUTHENTICATED: The API key has been revoked"
        );
    }
    let gone = send(&world, &user.token, "DELETE", &path, Value::Null).await;
    assert_eq!(gone.error(), "404 NOT_FOUND: There is no such API key");
    let list = world.get(&user.token, KEYS).await.data(200);
    assert_eq!(list.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn another_subscriptions_key_does_not_exist() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, secret) = key(&world, &user.token, "backend").await;
    let eve = world.register("eve@example.com").await;
    for (method, path) in [
        ("PATCH", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/rotate")),
    ] {
        let body = if method == "DELETE" {
            Value::Null
        } else {
            json!({})
        };
        let answer = send(&world, &eve.token, method, &path, body).await;
        assert_eq!(answer.status, 404, "{method} {path}");
    }
    assert_eq!(world.get(&secret, UNUSED).await.status, 200);
}
