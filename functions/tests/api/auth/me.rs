//! `GET /api/auth/me`.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn it_tells_user_and_subscription() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let data = user.get("/api/auth/me").await.data(200);
    assert_eq!(data["user"]["email"], json!("ada@example.com"));
    assert_eq!(data["user"]["createdAt"], json!("2026-01-01T00:00:00.000Z"));
    assert_eq!(data["subscription"]["id"], json!(user.subscription));
}

#[tokio::test]
async fn a_user_who_is_gone_is_nobody() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let me = user.get("/api/auth/me").await.data(200);
    let id = me["user"]["id"].as_str().expect("an id").parse().expect("an id");
    let subscription = user.subscription.parse().expect("an id");
    let table = &world.state.table;
    table
        .client()
        .delete_item()
        .table_name(table.name())
        .set_key(Some(shared::storage::keys::user(subscription, id).attributes()))
        .send()
        .await
        .expect("deleted");
    assert_eq!(
        user.get("/api/auth/me").await.error(),
        "401 UNAUTHENTICATED: The access token's user does not exist any more"
    );
}
