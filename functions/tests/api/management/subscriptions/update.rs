//! `PATCH /api/subscriptions/{subscription}`.

use futures::future::join_all;
use serde_json::json;
use shared::domain::account::Tier;
use shared::domain::audit::Action;
use shared::domain::news::Done;

use crate::management::people::{administrator, audited};
use crate::support::World;

const INACTIVE: &str = "403 SUBSCRIPTION_INACTIVE: The subscription is not active";

#[tokio::test]
async fn another_tier_has_other_limits() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let path = format!("/api/subscriptions/{}", ada.subscription);
    let data = root.patch(&path, json!({"tier": "PRO"})).await.data(200);
    assert_eq!(
        data["limits"],
        json!({"instances": 20, "messagesPerMonth": 50_000})
    );
    for n in 0..6 {
        world.instance(&ada, &format!("sales-{n}")).await;
    }
    let answer = root.patch(&path, json!({"tier": "BASIC", "active": false})).await;
    assert_eq!(
        answer.error(),
        "409 CONFLICT: The subscription has more instances than this tier allows"
    );
    assert_eq!(
        answer.json()["error"]["details"],
        json!({"tier": "BASIC", "limit": 5, "instancesInUse": 6})
    );
    // Refused as a whole.
    let own = ada.get("/api/subscription").await.data(200);
    assert_eq!((&own["tier"], &own["active"]), (&json!("PRO"), &json!(true)));
    let entries = audited(&world, Action::SubscriptionUpdated).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].details["tier"], "PRO");
    assert_eq!(entries[0].target, Some(ada.subscription));
}

#[tokio::test]
async fn the_realtime_feed_is_told_of_a_change_and_of_no_other_request() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let path = format!("/api/subscriptions/{}", ada.subscription);
    root.patch(&path, json!({})).await.data(200);
    assert!(world.news().await.is_empty());
    root.patch(&path, json!({"tier": "PRO"})).await.data(200);
    let news = world.news().await;
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].subscription.to_string(), ada.subscription);
    let changed = Done::SubscriptionChanged {
        tier: Tier::Pro,
        active: true,
    };
    assert_eq!(news[0].done, changed);
}

#[tokio::test]
async fn a_downgrade_holds_against_instances_that_are_created_meanwhile() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let path = format!("/api/subscriptions/{}", ada.subscription);
    root.patch(&path, json!({"tier": "PRO"})).await.data(200);
    for n in 0..4 {
        world.instance(&ada, &format!("there-{n}")).await;
    }
    let creations = join_all((0..6).map(|n| ada.post("/api/instances", json!({"name": format!("new-{n}")}))));
    let downgrade = root.patch(&path, json!({"tier": "BASIC"}));
    let (creations, downgrade) = tokio::join!(creations, downgrade);
    for answer in &creations {
        assert!([201, 409].contains(&answer.status), "{answer:?}");
    }
    let own = ada.get("/api/subscription").await.data(200);
    let in_use = own["instancesInUse"].as_u64().expect("a number");
    if downgrade.status == 200 {
        assert_eq!(own["tier"], json!("BASIC"));
        assert!(in_use <= 5, "{in_use}");
    } else {
        assert_eq!(downgrade.status, 409);
        assert_eq!(own["tier"], json!("PRO"));
        assert!(in_use > 5, "{in_use}");
    }
    let made = creations.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(in_use, 4 + made as u64);
}

#[tokio::test]
async fn a_creation_that_has_read_the_higher_tier_is_refused_after_the_downgrade() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let path = format!("/api/subscriptions/{}", ada.subscription);
    let first = world.instance(&ada, "sales").await;
    root.patch(&path, json!({"tier": "PRO"})).await.data(200);
    root.patch(&path, json!({"tier": "BASIC"})).await.data(200);
    let late = shared::domain::instance::Instance {
        id: shared::ids::InstanceId::new(chrono::DateTime::UNIX_EPOCH),
        name: "late".parse().expect("a name"),
        ..world.stored(first).await
    };
    let created = world.state.instances.create(&late, 20).await.expect("answered");
    assert_eq!(created, shared::storage::instances::Created::LimitReached);
    let created = world.state.instances.create(&late, 5).await.expect("answered");
    assert_eq!(created, shared::storage::instances::Created::Created);
}

#[tokio::test]
async fn a_subscription_that_is_switched_off_serves_nobody_until_it_is_on_again() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let (ada, _, key) = world.ready().await;
    let path = format!("/api/subscriptions/{}", ada.subscription);
    let off = root.patch(&path, json!({"active": false})).await.data(200);
    assert_eq!(off["active"], json!(false));
    assert_eq!(ada.get("/api/instances").await.error(), INACTIVE);
    assert_eq!(key.get("/api/instance/info").await.error(), INACTIVE);
    let refresh = json!({"refreshToken": ada.refresh_token});
    assert_eq!(
        world.nobody.post("/api/auth/refresh", refresh).await.error(),
        INACTIVE
    );
    root.patch(&path, json!({"active": true})).await.data(200);
    assert_eq!(ada.get("/api/instances").await.status, 200);
    assert_eq!(key.get("/api/instance/info").await.status, 200);
    let entries = audited(&world, Action::SubscriptionUpdated).await;
    let mut flags: Vec<_> = entries.iter().map(|entry| &*entry.details["active"]).collect();
    flags.sort_unstable();
    assert_eq!(flags, ["false", "true"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let own = format!("/api/subscriptions/{}", root.subscription);
    let told = async |path: &str, body| root.patch(path, body).await.error();
    assert_eq!(
        told(&own, json!({"tier": "GOLD"})).await,
        "400 VALIDATION_ERROR: `tier` must be one of BASIC, PRO, MAX"
    );
    assert_eq!(
        told(&own, json!({"activ": true})).await,
        "400 VALIDATION_ERROR: `activ` is unknown"
    );
    assert_eq!(
        told(&own, json!({"active": false})).await,
        "409 CONFLICT: Your own subscription stays active: without it you could not switch it on again"
    );
    let nobodys = "/api/subscriptions/sub_01JD0000000000000000000000";
    for body in [json!({"tier": "PRO"}), json!({"active": true}), json!({})] {
        assert_eq!(root.patch(nobodys, body).await.status, 404);
    }
}
