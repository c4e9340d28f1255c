//! `PATCH /api/users/{user}`.

use futures::future::join_all;
use serde_json::json;
use shared::domain::audit::Action;

use crate::management::people::{administrator, audited, id, login, member, text};
use crate::support::World;

const LAST: &str = "409 CONFLICT: The last active administrator stays one: make another first";

#[tokio::test]
async fn name_and_role_change_and_the_session_goes_on() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let path = format!("/api/users/{}", id(&ada).await);
    let body = json!({"name": "Countess", "role": "ADMINISTRATOR"});
    let data = root.patch(&path, body).await.data(200);
    assert_eq!(data["name"], json!("Countess"));
    assert_eq!(data["role"], json!("ADMINISTRATOR"));
    assert_eq!(ada.get("/api/users").await.status, 200);
    // The present role counts, not the token's.
    root.patch(&path, json!({"role": "USER"})).await.data(200);
    assert_eq!(ada.get("/api/users").await.status, 403);
    let entries = audited(&world, Action::UserUpdated).await;
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().any(|entry| entry.details["role"] == "USER"));
    assert!(
        entries
            .iter()
            .all(|entry| entry.details.get("name").is_none_or(|name| name == "changed"))
    );
}

#[tokio::test]
async fn a_deactivated_user_is_out_at_once_and_logs_in_anew_afterwards() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let path = format!("/api/users/{}", id(&ada).await);
    let data = root.patch(&path, json!({"active": false})).await.data(200);
    assert_eq!(data["active"], json!(false));
    assert_eq!(ada.get("/api/auth/me").await.status, 401);
    let offered = json!({"email": "ada@example.com", "password": crate::support::PASSWORD});
    let answer = world.nobody.post("/api/auth/login", offered).await;
    assert_eq!(answer.error(), "403 FORBIDDEN: The user is not active");
    root.patch(&path, json!({"active": true})).await.data(200);
    assert_eq!(ada.get("/api/auth/me").await.status, 401);
    login(&world, "ada@example.com").await;
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let path = format!("/api/users/{}", id(&root).await);
    for body in [json!({"role": "USER"}), json!({"active": false})] {
        assert_eq!(root.patch(&path, body).await.error(), LAST);
    }
    assert_eq!(root.delete(&path).await.error(), LAST);
    // One who is not active does not count.
    let other = administrator(&world, "other@example.com").await;
    let others = format!("/api/users/{}", id(&other).await);
    root.patch(&others, json!({"active": false})).await.data(200);
    assert_eq!(root.patch(&path, json!({"role": "USER"})).await.error(), LAST);
    root.patch(&others, json!({"active": true})).await.data(200);
    root.patch(&path, json!({"role": "USER"})).await.data(200);
}

#[tokio::test]
async fn of_five_administrators_who_resign_at_once_one_stays() {
    let world = World::new().await;
    let mut paths = Vec::new();
    for n in 0..5 {
        let user = administrator(&world, &format!("root-{n}@example.com")).await;
        let path = format!("/api/users/{}", id(&user).await);
        paths.push((user, path));
    }
    let answers = join_all(
        paths
            .iter()
            .map(|(user, path)| user.patch(path, json!({"role": "USER"}))),
    )
    .await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(done.len(), 4);
    assert_eq!(refused[0].error(), LAST);
}

#[tokio::test]
async fn a_user_moves_to_another_subscription_and_nowhere_else() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let bob = member(&world, &ada, "bob@example.com").await;
    let adas = id(&ada).await;
    let path = format!("/api/users/{adas}");
    let nowhere = json!({"subscriptionId": "sub_01JD0000000000000000000000"});
    assert_eq!(
        root.patch(&path, nowhere).await.error(),
        "400 VALIDATION_ERROR: `subscriptionId` names no subscription"
    );
    let body = json!({"subscriptionId": root.subscription});
    let data = root.patch(&path, body).await.data(200);
    assert_eq!(data["subscriptionId"], json!(root.subscription));
    assert_eq!(ada.get("/api/auth/me").await.status, 401);
    // The password goes along, and so does the address.
    assert_eq!(
        login(&world, "ada@example.com").await.subscription,
        root.subscription
    );
    assert_eq!(text(&root.get(&path).await.data(200)["id"]), adas);
    // What it owned is the other member's.
    let own = bob.get("/api/subscription").await.data(200);
    assert_eq!(text(&own["ownerId"]), id(&bob).await);
    let entries = audited(&world, Action::SubscriptionUpdated).await;
    assert_eq!(entries[0].details["owner"], id(&bob).await);
}
