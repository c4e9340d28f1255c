//! `PUT /api/instances/{instance}`.

use futures::future::join_all;
use serde_json::{Value, json};
use shared::domain::audit::Action;

use crate::support::{Answer, User, World};

async fn put(user: &User, which: &str, body: &Value) -> Answer {
    let path = format!("/api/instances/{which}");
    user.put(&path, body).await
}

#[tokio::test]
async fn a_new_name_leads_to_the_instance_and_the_old_one_is_free() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let body = json!({"name": "Support", "metadata": {"team": "blue"}});
    let data = put(&user, "sales", &body).await.data(200);
    assert_eq!(data["name"], json!("support"));
    assert_eq!(data["metadata"], json!({"team": "blue"}));
    let found = user.get("/api/instances/support").await.data(200);
    assert_eq!(found, data);
    assert_eq!(user.get("/api/instances/sales").await.status, 404);
    let answer = key.get("/api/instance/info").await;
    assert_eq!(answer.json()["meta"]["instanceName"], json!("support"));
    world.instance(&user, "sales").await;
    assert_eq!(
        world.audited(&user, Action::InstanceUpdated).await,
        [instance.to_string()]
    );
}

#[tokio::test]
async fn what_is_not_named_stays() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    world.instance(&user, "sales").await;
    put(&user, "sales", &json!({"metadata": {"a": "b"}}))
        .await
        .data(200);
    let data = put(&user, "sales", &json!({"name": "sales"})).await.data(200);
    assert_eq!(data["metadata"], json!({"a": "b"}));
    let data = put(&user, "sales", &json!({"metadata": {}})).await.data(200);
    assert_eq!((&data["name"], &data["metadata"]), (&json!("sales"), &json!({})));
}

#[tokio::test]
async fn a_name_that_another_has_is_refused_and_so_is_what_cannot_change() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    world.instance(&user, "sales").await;
    world.instance(&user, "support").await;
    let answer = put(&user, "sales", &json!({"name": "support"})).await;
    assert_eq!(answer.error(), "409 NAME_TAKEN: Another instance has this name");
    let body = json!({"network": "live"});
    assert_eq!(
        put(&user, "sales", &body).await.error(),
        "400 VALIDATION_ERROR: `network` is fixed at creation"
    );
    let data = user.get("/api/instances/sales").await.data(200);
    assert_eq!(data["name"], json!("sales"));
}

#[tokio::test]
async fn one_of_several_who_race_for_a_name_gets_it() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    for n in 0..5 {
        world.instance(&user, &format!("n{n}")).await;
    }
    let body = json!({"name": "wanted"});
    let names: Vec<_> = (0..5).map(|n| format!("n{n}")).collect();
    let answers = join_all(names.iter().map(|name| put(&user, name, &body))).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(409)), (1, 4));
    let list = user.get("/api/instances").await.data(200);
    let list = list.as_array().expect("a list");
    assert_eq!(
        list.iter().filter(|one| one["name"] == json!("wanted")).count(),
        1
    );
}

#[tokio::test]
async fn a_pace_is_set_taken_away_and_told_to_the_shard() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let body = json!({"name": "sales", "messagesPerMinute": 600});
    let made = user.post("/api/instances", body).await.data(201);
    assert_eq!(made["messagesPerMinute"], json!(600));
    let queries = world.queue_names().queries(0);
    assert_eq!(world.waiting(&queries).await.len(), 0);
    let data = put(&user, "sales", &json!({"messagesPerMinute": 20}))
        .await
        .data(200);
    assert_eq!(data["messagesPerMinute"], json!(20));
    assert_eq!(world.waiting(&queries).await.len(), 1, "its daemon hears of it");
    let same = json!({"name": "sales", "messagesPerMinute": 20});
    let data = put(&user, "sales", &same).await.data(200);
    assert_eq!(data["messagesPerMinute"], json!(20));
    assert_eq!(
        world.waiting(&queries).await.len(),
        0,
        "nothing new for its daemon"
    );
    for pace in [json!(0), json!(601), json!(70_000)] {
        let refused = "400 VALIDATION_ERROR: `messagesPerMinute` must be a whole number from 1 to 600";
        let answer = put(&user, "sales", &json!({"messagesPerMinute": pace})).await;
        assert_eq!(answer.error(), refused);
        let body = json!({"name": "other", "messagesPerMinute": pace});
        assert_eq!(user.post("/api/instances", body).await.error(), refused);
    }
    let data = put(&user, "sales", &json!({"messagesPerMinute": null}))
        .await
        .data(200);
    assert_eq!(data["messagesPerMinute"], json!(null));
    let shown = user.get("/api/instances/sales").await.data(200);
    assert_eq!(shown["messagesPerMinute"], json!(null));
}

/// The realtime feed names an instance in each event.
#[tokio::test]
async fn a_name_and_metadata_are_told_to_the_shard() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    world.instance(&user, "sales").await;
    let queries = world.queue_names().queries(0);
    world.waiting(&queries).await;
    for (which, body) in [
        ("sales", json!({"metadata": {"team": "blue"}})),
        ("sales", json!({"metadata": null})),
        ("sales", json!({"name": "support"})),
    ] {
        put(&user, which, &body).await.data(200);
        assert_eq!(world.waiting(&queries).await.len(), 1, "{body}");
    }
}

#[tokio::test]
async fn a_term_for_contents_is_set_and_changed_within_its_bounds() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let body = json!({"name": "sales", "contentDays": 14});
    let made = user.post("/api/instances", body).await.data(201);
    assert_eq!(made["contentDays"], json!(14));
    let queries = world.queue_names().queries(0);
    world.waiting(&queries).await;
    for days in [0, 7] {
        let data = put(&user, "sales", &json!({"contentDays": days})).await.data(200);
        assert_eq!(data["contentDays"], json!(days));
        assert_eq!(world.waiting(&queries).await.len(), 1, "its daemon hears of it");
    }
    let data = put(&user, "sales", &json!({"name": "support"})).await.data(200);
    assert_eq!(data["contentDays"], json!(7), "what is not named stays");
    let shown = user.get("/api/instances/support").await.data(200);
    assert_eq!(shown["contentDays"], json!(7));
    for days in [json!(15), json!(256), json!(70_000)] {
        let refused = "400 VALIDATION_ERROR: `contentDays` must be a whole number from 0 to 14";
        let answer = put(&user, "support", &json!({"contentDays": days})).await;
        assert_eq!(answer.error(), refused);
        let body = json!({"name": "other", "contentDays": days});
        assert_eq!(user.post("/api/instances", body).await.error(), refused);
    }
    for wrong in [json!(null), json!("7"), json!(-1)] {
        let answer = put(&user, "support", &json!({"contentDays": wrong})).await;
        assert_eq!(answer.code(), "400 VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn contents_in_the_realtime_feed_are_switched_on_and_off_and_told_to_the_shard() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let body = json!({"name": "sales", "contentInRealtime": true});
    let made = user.post("/api/instances", body).await.data(201);
    assert_eq!(made["contentInRealtime"], json!(true));
    let queries = world.queue_names().queries(0);
    world.waiting(&queries).await;
    for feeds in [false, true] {
        let data = put(&user, "sales", &json!({"contentInRealtime": feeds}))
            .await
            .data(200);
        assert_eq!(data["contentInRealtime"], json!(feeds));
        assert_eq!(world.waiting(&queries).await.len(), 1, "its daemon hears of it");
    }
    let data = put(&user, "sales", &json!({"name": "support"})).await.data(200);
    assert_eq!(data["contentInRealtime"], json!(true), "what is not named stays");
    let shown = user.get("/api/instances/support").await.data(200);
    assert_eq!(shown["contentInRealtime"], json!(true));
    for wrong in [json!(null), json!("true"), json!(1)] {
        let answer = put(&user, "support", &json!({"contentInRealtime": wrong})).await;
        assert_eq!(answer.code(), "400 VALIDATION_ERROR");
    }
}
