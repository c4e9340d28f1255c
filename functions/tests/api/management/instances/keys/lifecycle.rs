//! Listing, changing, rotating and revoking keys.

use chrono::TimeDelta;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use serde_json::{Value, json};
use shared::clock::Clock;

use crate::support::{Caller, World};

const KEYS: &str = "/api/instances/sales/keys";
const UNUSED: &str = "/api/instance/info";

/// Makes a key; answers its path and secret.
async fn key(caller: &Caller, name: &str) -> (String, String) {
    let data = caller.post(KEYS, json!({"name": name})).await.data(201);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (format!("{KEYS}/{}", text(&data["id"])), text(&data["key"]))
}

#[tokio::test]
async fn keys_are_listed_in_pages_without_their_secrets() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    for name in ["one", "two", "three"] {
        world.clock.advance(TimeDelta::milliseconds(1));
        key(&user, name).await;
    }
    let page = user.get(&format!("{KEYS}?limit=3")).await;
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
    let rest = user.get(&rest).await;
    assert_eq!(rest.data(200).as_array().map(Vec::len), Some(1));
    assert_eq!(rest.json()["meta"]["pagination"]["nextCursor"], json!(null));
    let forged = user.get(&format!("{KEYS}?cursor=abc")).await;
    assert_eq!(
        forged.error(),
        "400 VALIDATION_ERROR: `cursor` must be a `nextCursor` of this list"
    );
}

#[tokio::test]
async fn a_changed_key_obeys_at_once() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, secret) = key(&user, "backend").await;
    assert_eq!(world.caller(&secret).get(UNUSED).await.status, 200);
    let until = (world.clock.now() + TimeDelta::minutes(1)).to_rfc3339();
    let change = json!({"name": "old backend", "scopes": ["messages:send"], "expiresAt": until});
    let data = user.patch(&path, change).await.data(200);
    assert_eq!(data["name"], json!("old backend"));
    assert_eq!(data["scopes"], json!(["messages:send"]));
    assert_eq!(
        world.caller(&secret).get(UNUSED).await.error(),
        "403 INSUFFICIENT_SCOPE: The API key lacks the scope `instance:read`"
    );
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(
        world.caller(&secret).get(UNUSED).await.error(),
        "401 UNAUTHENTICATED: The API key has expired"
    );
    // What is not named stays; `null` takes the end away.
    let change = json!({"expiresAt": null});
    let data = user.patch(&path, change).await.data(200);
    assert_eq!(data["scopes"], json!(["messages:send"]));
    assert_eq!(data["expiresAt"], json!(null));
    let lacks = "403 INSUFFICIENT_SCOPE: The API key lacks the scope `instance:read`";
    assert_eq!(world.caller(&secret).get(UNUSED).await.error(), lacks);
    let wrong = json!({"scopes": [], "rateLimit": 0, "allowedCidrs": ["x"]});
    let answer = user.patch(&path, wrong).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: Some fields are not valid");
}

#[tokio::test]
async fn a_rotated_key_has_a_grace_of_its_own() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, first) = key(&user, "backend").await;
    let rotate = format!("{path}/rotate");
    let rotated = user.post(&rotate, json!({"graceSeconds": 60})).await;
    let data = rotated.data(200);
    let second = data["key"].as_str().expect("a secret").to_owned();
    assert_eq!(data["prefix"], json!(&second[..15]));
    for secret in [&first, &second] {
        assert_eq!(world.caller(secret).get(UNUSED).await.status, 200);
    }
    world.clock.advance(TimeDelta::seconds(60));
    assert_eq!(
        world.caller(&first).get(UNUSED).await.error(),
        "401 UNAUTHENTICATED: The API key has expired"
    );
    assert_eq!(world.caller(&second).get(UNUSED).await.status, 200);
    // Without a grace, and without a body.
    let data = user.post(&rotate, ()).await.data(200);
    assert_eq!(
        world.caller(&second).get(UNUSED).await.error(),
        "401 UNAUTHENTICATED: The API key has been revoked"
    );
    let third = data["key"].as_str().expect("a secret");
    assert_eq!(world.caller(third).get(UNUSED).await.status, 200);
    let answer = user.post(&rotate, json!({"graceSeconds": 604_801})).await;
    assert_eq!(
        answer.error(),
        "400 VALIDATION_ERROR: `graceSeconds` must be a whole number from 0 to 604800"
    );
}

async fn is_good(world: &World, secret: &str) -> bool {
    world.caller(secret).get(UNUSED).await.status == 200
}

/// The answer to a rotation was lost: everybody uses the first secret, and nobody knows the second.
#[tokio::test]
async fn a_rotation_that_is_asked_for_again_leaves_the_secret_that_everybody_uses() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, first) = key(&user, "backend").await;
    let rotate = async |body: Option<Value>| {
        let data = user.post(&format!("{path}/rotate"), body).await;
        data.data(200)["key"].as_str().expect("a secret").to_owned()
    };
    let hour = json!({"graceSeconds": 3_600});
    let second = rotate(Some(hour.clone())).await;
    world.clock.advance(TimeDelta::seconds(600));
    let third = rotate(Some(hour.clone())).await;
    for secret in [&first, &second, &third] {
        assert!(is_good(&world, secret).await);
    }
    let fourth = rotate(Some(hour.clone())).await;
    assert!(is_good(&world, &first).await, "the oldest, until its own end");
    assert!(!is_good(&world, &second).await);
    for secret in [&third, &fourth] {
        assert!(is_good(&world, secret).await);
    }
    // What is changed of the key is changed for each of its secrets.
    let narrow = json!({"scopes": ["messages:send"]});
    user.patch(&path, narrow).await.data(200);
    for secret in [&first, &third, &fourth] {
        assert_eq!(world.caller(secret).get(UNUSED).await.status, 403);
    }
    let wide = json!({"scopes": ["instance:read"]});
    user.patch(&path, wide).await.data(200);
    // The first one's hour is over, and two others' is not.
    world.clock.advance(TimeDelta::seconds(3_000));
    assert!(!is_good(&world, &first).await);
    let user = world.nobody.login("ada@example.com").await;
    let rotate = async |body: Option<Value>| {
        let data = user.post(&format!("{path}/rotate"), body).await;
        data.data(200)["key"].as_str().expect("a secret").to_owned()
    };
    let fifth = rotate(Some(hour)).await;
    assert!(is_good(&world, &third).await && is_good(&world, &fourth).await);
    // Without a grace nothing older stays.
    let sixth = rotate(None).await;
    for secret in [&first, &second, &third, &fourth, &fifth] {
        assert!(!is_good(&world, secret).await);
    }
    assert!(is_good(&world, &sixth).await);
}

#[tokio::test]
async fn a_revoked_key_takes_its_oldest_secret_with_it() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, first) = key(&user, "backend").await;
    for _ in 0..2 {
        let body = json!({"graceSeconds": 3_600});
        let rotated = user.post(&format!("{path}/rotate"), body).await;
        rotated.data(200);
    }
    assert!(is_good(&world, &first).await);
    let revoked = user.delete(&path).await;
    revoked.data(200);
    assert!(!is_good(&world, &first).await);
}

#[tokio::test]
async fn an_instance_has_a_hundred_keys_at_most() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, _) = key(&user, "the second").await;
    let more = stream::iter(0..98).map(|_| key(&user, "more"));
    more.buffer_unordered(10).for_each(async |_| {}).await;
    let create = async || user.post(KEYS, json!({"name": "one more"})).await;
    assert_eq!(
        create().await.error(),
        "409 CONFLICT: The instance has 100 API keys, expired ones included, and may have no more: revoke one that is not needed"
    );
    let revoked = user.delete(&path).await;
    revoked.data(200);
    create().await.data(201);
}

#[tokio::test]
async fn of_ten_rotations_at_once_each_secret_given_out_last_is_good() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, _) = key(&user, "backend").await;
    let rotate = format!("{path}/rotate");
    let answers = join_all((0..10).map(|_| user.post(&rotate, json!({})))).await;
    let mut good = 0;
    for answer in &answers {
        match answer.status {
            200 => {
                let data = answer.data(200);
                let secret = data["key"].as_str().expect("a secret");
                good += usize::from(world.caller(secret).get(UNUSED).await.status == 200);
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
    let (path, first) = key(&user, "backend").await;
    let rotate = format!("{path}/rotate");
    let body = json!({"graceSeconds": 600});
    let data = user.post(&rotate, body).await.data(200);
    let second = data["key"].as_str().expect("a secret").to_owned();
    user.delete(&path).await.data(200);
    for secret in [&first, &second] {
        assert_eq!(
            world.caller(secret).get(UNUSED).await.error(),
            "401 UNAUTHENTICATED: The API key has been revoked"
        );
    }
    let gone = user.delete(&path).await;
    assert_eq!(gone.error(), "404 NOT_FOUND: There is no such API key");
    let list = user.get(KEYS).await.data(200);
    assert_eq!(list.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn another_subscriptions_key_does_not_exist() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let (path, secret) = key(&user, "backend").await;
    let eve = world.register("eve@example.com").await;
    for answer in [
        eve.patch(&path, json!({})).await,
        eve.delete(&path).await,
        eve.post(&format!("{path}/rotate"), json!({})).await,
    ] {
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    assert_eq!(world.caller(&secret).get(UNUSED).await.status, 200);
}
