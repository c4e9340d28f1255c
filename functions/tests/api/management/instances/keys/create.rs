//! `POST /api/instances/{instance}/keys`.

use serde_json::json;
use shared::auth::api_key::Scope;

use crate::support::World;

#[tokio::test]
async fn a_key_is_shown_once_and_stored_as_a_hash() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let path = "/api/instances/sales/keys";
    let body = json!({"name": "backend", "allowedCidrs": ["192.0.2.7"], "rateLimit": 50});
    let data = user.post(path, body).await.data(201);
    let secret = data["key"].as_str().expect("a secret");
    assert!(secret.starts_with("wak_test_"));
    assert_eq!(data["prefix"], json!(&secret[..15]));
    assert_eq!(data["allowedCidrs"], json!(["192.0.2.7/32"]));
    assert_eq!(data["rateLimit"], json!(50));
    assert_eq!(data["expiresAt"], json!(null));
    let scopes = data["scopes"].as_array().expect("a list");
    assert_eq!(scopes.len(), Scope::ALL.len() - 1);
    assert!(!scopes.contains(&json!("webhook:write")));
    let table = &world.state.table;
    let items = table
        .client()
        .scan()
        .table_name(table.name())
        .send()
        .await
        .expect("read");
    assert!(!format!("{:?}", items.items()).contains(secret));
}

#[tokio::test]
async fn a_whole_number_is_one_with_a_point_in_it_too() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let path = "/api/instances/sales/keys";
    let body = json!({"name": "backend", "rateLimit": 50.0});
    let data = user.post(path, body).await.data(201);
    assert_eq!(data["rateLimit"], json!(50));
    let rotate = format!("{path}/{}/rotate", data["id"].as_str().expect("an id"));
    let body = json!({"graceSeconds": 60.0});
    user.post(&rotate, body).await.data(200);
    let body = json!({"graceSeconds": 60.5});
    assert_eq!(
        user.post(&rotate, body).await.error(),
        "400 VALIDATION_ERROR: `graceSeconds` must be a whole number from 0 to 604800"
    );
}

#[tokio::test]
async fn every_bad_field_is_named_with_its_place() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let body = json!({
        "name": "backend",
        "scopes": ["messages:send", "messages:sned"],
        "allowedCidrs": ["192.0.2.0/33"],
        "expiresAt": "2026-01-01T00:00:00Z",
        "rateLimit": 0,
    });
    let answer = user.post("/api/instances/sales/keys", body).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: Some fields are not valid");
    assert_eq!(
        answer.bad_fields(),
        ["scopes[1]", "allowedCidrs[0]", "expiresAt", "rateLimit"]
    );
    let answer = user
        .post("/api/instances/sales/keys", json!({"name": "x", "scopes": []}))
        .await;
    assert_eq!(
        answer.error(),
        "400 VALIDATION_ERROR: `scopes` must name one scope or more"
    );
}
