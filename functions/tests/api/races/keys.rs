//! For a key's rotation.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{everywhere, storm, with_status};
use crate::management::people::text;
use crate::support::{Answer, User, World};

const KEYS: &str = "/api/instances/sales/keys";

/// A key's first secret, and where it is rotated.
async fn key(user: &User) -> (String, String) {
    let data: Value = user.post(KEYS, json!({"name": "backend"})).await.data(201);
    (text(&data["key"]), format!("{KEYS}/{}/rotate", text(&data["id"])))
}

/// Ten rotations at once; answers the secrets that were shown, the first among them, and where the key is rotated.
async fn rotate(world: &World, user: &User, grace: u32) -> (Vec<String>, String) {
    let (first, path) = key(user).await;
    let body = || json!({"graceSeconds": grace});
    let answers = storm(world, (0..10).map(|_| user.post(&path, body()))).await;
    let rotated = with_status(&answers, 200, &["CONFLICT"]);
    let secret = |(_, answer): &(usize, &Answer)| text(&answer.data(200)["key"]);
    let secrets = std::iter::once(first).chain(rotated.iter().map(secret));
    (secrets.collect(), path)
}

/// How many of these secrets are good.
async fn good(world: &World, secrets: &[String]) -> usize {
    let mut good = 0;
    for secret in secrets {
        let answer = world.caller(secret).get("/api/instance/info").await;
        assert!([200, 401].contains(&answer.status), "{answer:?}");
        good += usize::from(answer.status == 200);
    }
    good
}

/// Rotates once more while nobody else does: that is the one good secret then.
async fn settle(world: &World, user: &User, path: &str, secrets: &mut Vec<String>) {
    let data = user.post(path, json!({})).await.data(200);
    assert_eq!(good(world, secrets).await, 0);
    secrets.push(text(&data["key"]));
    assert_eq!(good(world, secrets).await, 1);
}

#[tokio::test]
async fn one_secret_is_good_after_a_rotation() {
    everywhere(async |world| {
        let (user, _, _) = world.ready().await;
        let (mut secrets, path) = rotate(world, &user, 0).await;
        let live = good(world, &secrets).await;
        // The good one may be one whose answer was lost.
        assert!(live == 1 || live == 0 && world.faults.is_some(), "{live}");
        settle(world, &user, &path, &mut secrets).await;
    })
    .await;
}

#[tokio::test]
async fn three_secrets_are_good_within_the_grace_at_most_and_one_after_it() {
    everywhere(async |world| {
        let (user, _, _) = world.ready().await;
        let (mut secrets, path) = rotate(world, &user, 60).await;
        let live = good(world, &secrets).await;
        assert!(live <= 3 && (live > 0 || world.faults.is_some()), "{live}");
        world.clock.advance(TimeDelta::seconds(60));
        let live = good(world, &secrets).await;
        assert!(live == 1 || live == 0 && world.faults.is_some(), "{live}");
        settle(world, &user, &path, &mut secrets).await;
    })
    .await;
}

/// What one request takes from a key no other gives back.
#[tokio::test]
async fn no_change_of_a_key_undoes_another() {
    everywhere(async |world| {
        let (user, _, _) = world.ready().await;
        for _ in 0..10 {
            let (_, rotation) = key(&user).await;
            let path = rotation.trim_end_matches("/rotate");
            let narrow = user.patch(path, json!({"scopes": ["stats:read"]}));
            let rename = user.patch(path, json!({"name": "Shop"}));
            let rotate = user.post(&rotation, json!({}));
            let (narrowed, _, rotated) = tokio::join!(narrow, rename, rotate);
            if narrowed.status != 200 {
                continue;
            }
            let listed = user.get(KEYS).await.data(200);
            let mut listed = listed.as_array().expect("a list").iter();
            let id = path.rsplit('/').next();
            let listed = listed.find(|key| key["id"].as_str() == id).expect("the key");
            assert_eq!(listed["scopes"], json!(["stats:read"]));
            if rotated.status == 200 {
                let secret = text(&rotated.data(200)["key"]);
                assert_eq!(world.caller(&secret).get("/api/instance/info").await.status, 403);
            }
        }
    })
    .await;
}
