//! `POST /api/auth/register`.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;
use shared::clock::Clock;
use shared::storage::keys;

use crate::support::{PASSWORD, World};

#[tokio::test]
async fn a_new_user_has_a_basic_subscription_and_tokens() {
    let world = World::new().await;
    let body = json!({"email": "Ada@Example.com", "password": PASSWORD, "name": " Ada "});
    let answer = world.nobody.post("/api/auth/register", body).await;
    let data = answer.data(201);
    assert_eq!(data["user"]["email"], json!("Ada@Example.com"));
    assert_eq!(data["user"]["name"], json!("Ada"));
    assert_eq!(data["user"]["role"], json!("USER"));
    assert_eq!(data["subscription"]["tier"], json!("BASIC"));
    assert_eq!(
        data["subscription"]["limits"],
        json!({"instances": 5, "messagesPerMonth": 10_000})
    );
    assert_eq!(data["user"]["subscriptionId"], data["subscription"]["id"]);
    assert_eq!(data["tokens"]["expiresIn"], json!(900));
    let token = data["tokens"]["accessToken"].as_str().expect("a token");
    assert_eq!(world.caller(token).get("/api/auth/me").await.status, 200);
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("$2b$"));
}

fn sha256(text: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(text))
}

#[tokio::test]
async fn a_refresh_token_is_stored_by_its_hash() {
    let world = World::new().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let data = world.nobody.post("/api/auth/register", body).await.data(201);
    let token = data["tokens"]["refreshToken"].as_str().expect("a token");
    let table = &world.state.table;
    let items = table
        .client()
        .scan()
        .table_name(table.name())
        .send()
        .await
        .expect("read");
    let all = format!("{:?}", items.items());
    let stored = items
        .items()
        .iter()
        .find(|item| item.get("hash") == Some(&AttributeValue::S(sha256(token))))
        .expect("there");
    let in_thirty_days = world.clock.now() + TimeDelta::days(30);
    let seconds = AttributeValue::N(in_thirty_days.timestamp().to_string());
    assert_eq!(stored["exp"], seconds);
    assert!(!all.contains(token));
    assert!(!all.contains(PASSWORD));
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let world = World::new().await;
    let body = json!({"email": "ada", "password": "short", "name": ""});
    let answer = world.nobody.post("/api/auth/register", body).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: Some fields are not valid");
    assert_eq!(
        answer.json()["error"]["details"],
        json!({"fields": [
            {"field": "email", "message": "must be an e-mail address, such as name@example.com"},
            {"field": "password", "message": "must have 8 characters at least and 72 bytes of UTF-8 at most"},
            {"field": "name", "message": "must have 1 to 100 characters, and no control characters"},
        ]})
    );
}

#[tokio::test]
async fn one_of_twenty_who_race_for_an_address_gets_it() {
    let world = World::new().await;
    let answers = join_all((0..20).map(|n| {
        // In all the ways to write it.
        let email = if n % 2 == 0 {
            "Ada@example.com"
        } else {
            "ada@EXAMPLE.com"
        };
        let body = json!({"email": email, "password": PASSWORD, "name": format!("Ada {n}")});
        world.nobody.post("/api/auth/register", body)
    }))
    .await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    for answer in refused {
        assert_eq!(
            answer.error(),
            "409 EMAIL_TAKEN: Another user has this e-mail address"
        );
    }
    // The losers left nothing behind: one subscription, one user, one address; the winner's session and
    // entry in the audit log, the code of its mail, and the count of the requests.
    let table = &world.state.table;
    let items = table
        .client()
        .scan()
        .table_name(table.name())
        .send()
        .await
        .expect("read");
    let mut entities: Vec<String> = items
        .items()
        .iter()
        .map(|item| {
            let pk = item["pk"].as_s().expect("a key");
            pk.split('#').next().unwrap_or_default().to_owned()
        })
        .collect();
    entities.sort_unstable();
    assert_eq!(
        entities,
        ["audit", "code", "email", "lock", "rate", "session", "sub", "sub"]
    );
    let address = "ADA@example.com".parse().expect("an address");
    assert_eq!(keys::email(&address).pk, "email#ada@example.com");
}
