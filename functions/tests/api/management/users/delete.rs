//! `DELETE /api/users/{user}`.

use futures::future::join_all;
use serde_json::json;
use shared::domain::audit::Action;

use crate::management::people::{administrator, audited, id, member, text};
use crate::support::{PASSWORD, World};

#[tokio::test]
async fn a_deleted_users_sessions_end_and_its_address_is_free() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let gone = id(&ada).await;
    let path = format!("/api/users/{gone}");
    let data = root.delete(&path).await.data(200);
    assert_eq!(text(&data["id"]), gone);
    assert_eq!(ada.get("/api/auth/me").await.status, 401);
    let refresh = json!({"refreshToken": ada.refresh_token});
    assert_eq!(world.nobody.post("/api/auth/refresh", refresh).await.status, 401);
    assert_eq!(root.delete(&path).await.status, 404);
    // Its subscription had nobody else.
    let subscription = format!("/api/subscriptions/{}", ada.subscription);
    assert_eq!(root.get(&subscription).await.status, 404);
    let again = world.register("ada@example.com").await;
    assert_ne!(again.subscription, ada.subscription);

    assert_eq!(audited(&world, Action::UserDeleted).await[0].target, Some(gone));
    let deleted = audited(&world, Action::SubscriptionDeleted).await;
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0].target, Some(ada.subscription));
}

#[tokio::test]
async fn the_oldest_other_member_inherits() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    world.clock.advance(chrono::TimeDelta::milliseconds(1));
    let bob = member(&world, &ada, "bob@example.com").await;
    world.clock.advance(chrono::TimeDelta::milliseconds(1));
    let eve = member(&world, &ada, "eve@example.com").await;
    let path = format!("/api/users/{}", id(&ada).await);
    root.delete(&path).await.data(200);
    let own = eve.get("/api/subscription").await.data(200);
    let heir = id(&bob).await;
    assert_eq!(text(&own["ownerId"]), heir);
    let entries = audited(&world, Action::SubscriptionUpdated).await;
    assert_eq!(entries[0].details["owner"], heir);
    let eves = format!("/api/subscription/members/{}", id(&eve).await);
    bob.delete(&eves).await.data(200);
}

#[tokio::test]
async fn all_users_who_go_at_once_leave_no_subscription_without_an_owner() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let mut paths = vec![format!("/api/users/{}", id(&ada).await)];
    for n in 0..3 {
        let user = member(&world, &ada, &format!("m{n}@example.com")).await;
        paths.push(format!("/api/users/{}", id(&user).await));
    }
    let mut left: Vec<_> = paths.iter().collect();
    // Under contention a request may ask to be tried again, as its answer says.
    for _ in 0..paths.len() {
        let answers = join_all(left.iter().map(|path| root.delete(path))).await;
        for answer in &answers {
            assert!([200, 503].contains(&answer.status), "{answer:?}");
        }
        let mut answers = answers.iter();
        left.retain(|_| answers.next().is_some_and(|answer| answer.status == 503));
    }
    assert!(left.is_empty());
    let subscription = format!("/api/subscriptions/{}", ada.subscription);
    assert_eq!(root.get(&subscription).await.status, 404);
    assert_eq!(audited(&world, Action::SubscriptionDeleted).await.len(), 1);
}

#[tokio::test]
async fn a_last_user_who_goes_while_others_come_leaves_an_owner_or_nothing() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let path = format!("/api/users/{}", id(&ada).await);
    let arrivals = join_all((0..5).map(|n| {
        let body = json!({
            "email": format!("m{n}@example.com"),
            "password": PASSWORD,
            "name": "Mem",
            "role": "USER",
            "subscriptionId": ada.subscription,
        });
        root.post("/api/users", body)
    }));
    let (arrivals, gone) = tokio::join!(arrivals, root.delete(&path));
    assert!([200, 503].contains(&gone.status), "{gone:?}");
    if gone.status == 503 {
        root.delete(&path).await.data(200);
    }
    let came: Vec<_> = arrivals
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| text(&answer.data(201)["id"]))
        .collect();
    let subscription = format!("/api/subscriptions/{}", ada.subscription);
    let found = root.get(&subscription).await;
    if came.is_empty() {
        assert_eq!(found.status, 404);
    } else {
        assert!(came.contains(&text(&found.data(200)["ownerId"])));
    }
}
