//! `POST /api/instances`.

use futures::future::join_all;
use serde_json::json;
use shared::domain::audit::Action;
use shared::domain::network::Network;
use shared::domain::news::Done;

use crate::support::World;

#[tokio::test]
async fn a_new_instance_rests_and_is_found_by_id_and_name() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let body = json!({"name": "Customer-Service", "metadata": {"team": "blue"}});
    let data = user.post("/api/instances", body).await.data(201);
    let id = data["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        data,
        json!({
            "id": id,
            "name": "customer-service",
            "network": "sandbox",
            "status": "DISCONNECTED",
            "reason": null,
            "phone": null,
            "lid": null,
            "displayName": null,
            "metadata": {"team": "blue"},
            "messagesPerMinute": null,
            "contentDays": 0,
            "contentInRealtime": false,
            "createdAt": "2026-01-01T00:00:00.000Z",
        })
    );
    for which in [&*id, "customer-service", "CUSTOMER-SERVICE"] {
        let path = format!("/api/instances/{which}");
        assert_eq!(user.get(&path).await.data(200), data);
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_by_field() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let body = json!({
        "name": "inst_x",
        "network": "live",
        "metadata": {"": "x"},
        "alwaysOnline": false,
    });
    let answer = user.post("/api/instances", body).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: Some fields are not valid");
    assert_eq!(
        answer.bad_fields(),
        ["name", "network", "metadata", "alwaysOnline"]
    );
    let faults = answer.faults();
    assert_eq!(faults[1], "network `live` is not served by this deployment");
    assert_eq!(faults[3], "alwaysOnline is not served by this version");
    let told = async |body| user.post("/api/instances", body).await.error();
    assert_eq!(
        told(json!({"name": "a", "netwrok": "sandbox"})).await,
        "400 VALIDATION_ERROR: `netwrok` is unknown"
    );
    assert_eq!(
        told(json!({"name": "a", "metadata": {"n": 1}})).await,
        "400 VALIDATION_ERROR: `metadata.n` must be a string"
    );
    assert_eq!(
        told(json!({"name": "a", "network": "moon"})).await,
        "400 VALIDATION_ERROR: `network` must be one of live, sandbox"
    );
}

#[tokio::test]
async fn one_of_twenty_who_race_for_a_name_gets_it() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let other = world.register("eve@example.com").await;
    let answers = join_all((0..20).map(|_| user.post("/api/instances", json!({"name": "sales"})))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    for answer in refused {
        assert_eq!(answer.error(), "409 NAME_TAKEN: Another instance has this name");
    }
    // Names are a subscription's own.
    world.instance(&other, "sales").await;
}

#[tokio::test]
async fn the_tiers_limit_holds_for_twenty_who_race() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let answers =
        join_all((0..20).map(|n| user.post("/api/instances", json!({"name": format!("sales-{n}")})))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 5);
    for answer in refused {
        assert_eq!(
            answer.error(),
            "409 INSTANCE_LIMIT_REACHED: The tier BASIC allows 5 instances"
        );
        assert_eq!(
            answer.json()["error"]["details"],
            json!({"tier": "BASIC", "limit": 5})
        );
    }
    let list = user.get("/api/instances").await.data(200);
    assert_eq!(list.as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn the_realtime_feed_is_told_of_a_creation() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let news = world.news().await;
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].subscription.to_string(), user.subscription);
    assert_eq!(
        news[0].done,
        Done::InstanceCreated {
            instance,
            name: "sales".to_owned(),
            network: Network::Sandbox,
        }
    );
}

#[tokio::test]
async fn a_creation_is_in_the_audit_log() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    assert_eq!(
        world.audited(&user, Action::InstanceCreated).await,
        [instance.to_string()]
    );
}
