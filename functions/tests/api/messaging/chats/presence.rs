//! `PUT /api/presence`.

use axum::http::Method;
use serde_json::{Value, json};
use shared::domain::chats::Presence;
use shared::domain::question::SetPresence;

use crate::support::{Answer, Caller, World};
use testbed::asked::willing;

async fn set(key: &Caller, body: Value) -> Answer {
    key.request(Method::PUT, "/api/presence", body).await
}

#[tokio::test]
async fn the_account_becomes_available_and_unavailable() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    for presence in [Presence::Available, Presence::Unavailable] {
        let body = json!({"presence": presence});
        assert_eq!(set(&key, body.clone()).await.data(200), body);
        assert_eq!(asked.asks().pop(), Some(SetPresence { presence }.into()));
    }
    for (body, field) in [
        (json!({"presence": "away"}), "presence"),
        (json!({"presence": null}), "presence"),
        (json!({}), "presence"),
        (json!({"presence": "available", "chat": "15550100002"}), "chat"),
    ] {
        let answer = set(&key, body).await;
        assert_eq!(answer.code(), "400 VALIDATION_ERROR");
        assert_eq!(answer.bad_fields()[0], field);
    }
    assert_eq!(asked.asks().len(), 2);
}
