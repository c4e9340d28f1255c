//! `GET /api/audit-logs`.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::audit::Listed;

use crate::support::{PASSWORD, World};

fn texts(list: &Value, member: &str) -> Vec<String> {
    let list = list.as_array().expect("a list");
    let text = |one: &Value| one[member].as_str().expect("a text").to_owned();
    list.iter().map(text).collect()
}

async fn login(world: &World, password: &str) -> String {
    let body = json!({"email": "ada@example.com", "password": password});
    let answer = world.nobody.post("/api/auth/login", body).await;
    let token = answer.json()["data"]["tokens"]["accessToken"].clone();
    token.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn logins_and_a_keys_life_are_told_to_their_subscription_alone() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let other = world.register("eve@example.com").await;
    let instance = world.instance(&user, "sales").await;
    world.clock.advance(TimeDelta::seconds(1));
    login(&world, "not the password at all").await;
    world.clock.advance(TimeDelta::seconds(1));
    login(&world, PASSWORD).await;
    world.clock.advance(TimeDelta::seconds(1));
    world.key(&user, instance, json!({})).await;
    let list = user.get("/api/audit-logs?limit=3").await.data(200);
    assert_eq!(
        texts(&list, "action"),
        ["key.created", "auth.login", "auth.login"]
    );
    assert_eq!(texts(&list, "outcome"), ["success", "success", "failure"]);
    assert_eq!(list[2]["actor"], json!("anonymous"));
    assert_eq!(list[1]["actor"], list[2]["target"]);
    for entry in list.as_array().expect("a list") {
        assert_eq!(entry["sourceAddress"], json!("192.0.2.1"));
        assert_eq!(entry["subscriptionId"], json!(user.subscription));
        assert!(entry["requestId"].as_str().expect("an id").starts_with("req_"));
    }
    let failed = "/api/audit-logs?action=auth.login&outcome=failure";
    assert_eq!(user.get(failed).await.data(200), json!([list[2]]));
    let others = other.get("/api/audit-logs").await.data(200);
    assert_eq!(texts(&others, "action"), ["auth.registered"]);
    let path = format!("/api/audit-logs?subscriptionId={}", user.subscription);
    assert_eq!(
        other.get(&path).await.error(),
        "404 NOT_FOUND: There is no such subscription"
    );
    let table = &world.state.accounts;
    let (subscription, id) = (
        other.subscription.parse().expect("an id"),
        others[0]["actor"]
            .as_str()
            .expect("an id")
            .parse()
            .expect("an id"),
    );
    let role = shared::domain::account::Role::Administrator;
    table.set_role(subscription, id, role).await.expect("stored");
    let all = other.get("/api/audit-logs").await.data(200);
    assert_eq!(texts(&all, "action").len(), 7);
    // The attempt at the other log.
    let denied = all.as_array().expect("a list").iter();
    let denied: Vec<_> = denied
        .filter(|entry| entry["action"] == "access.denied")
        .collect();
    assert_eq!(denied.len(), 1);
    assert_eq!(denied[0]["details"]["route"], json!("/api/audit-logs"));
    let of_one = other.get(&path).await.data(200);
    assert_eq!(texts(&of_one, "action").len(), 5);
}

#[tokio::test]
async fn pages_lead_over_days_and_long_silences_to_the_oldest_entry() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    world.clock.advance(TimeDelta::days(1));
    login(&world, PASSWORD).await;
    world.clock.advance(TimeDelta::days(80));
    let token = login(&world, PASSWORD).await;
    let mut actions = Vec::new();
    let mut cursor = String::new();
    for _ in 0..10 {
        let path = format!("/api/audit-logs?limit=1{cursor}");
        let answer = world.caller(&token).get(&path).await;
        actions.extend(texts(&answer.data(200), "action"));
        if let Value::String(next) = &answer.json()["meta"]["pagination"]["nextCursor"] {
            cursor = format!("&cursor={next}");
        } else {
            assert_eq!(actions, ["auth.login", "auth.login", "auth.registered"]);
            return;
        }
    }
    panic!("the list does not end: {actions:?}");
}

#[tokio::test]
async fn an_entry_of_a_newer_version_is_listed_as_it_is() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    world.clock.advance(TimeDelta::seconds(1));
    login(&world, PASSWORD).await;
    let stored = world.items().await;
    let (_, newest) = stored
        .iter()
        .rfind(|((pk, _), _)| pk.starts_with("audit#"))
        .expect("an entry");
    let mut newer = newest.clone();
    for (name, text) in [
        ("action", "webhook.failed"),
        ("outcome", "partly"),
        ("actor", "robot"),
    ] {
        newer.insert(name.to_owned(), AttributeValue::S(text.to_owned()));
    }
    newer.insert("source".to_owned(), AttributeValue::S("the moon".to_owned()));
    let table = &world.state.table;
    let put = table.client().put_item().table_name(table.name());
    put.set_item(Some(newer)).send().await.expect("stored");

    let list = user.get("/api/audit-logs").await.data(200);
    assert_eq!(texts(&list, "action"), ["webhook.failed", "auth.registered"]);
    assert_eq!(texts(&list, "outcome"), ["partly", "success"]);
    assert_eq!(list[0]["actor"], json!("robot"));
    assert_eq!(list[0]["sourceAddress"], Value::Null);
    let day = world.clock.now().date_naive();
    let all = world.state.audit.list_day(day, None, 100).await.expect("read");
    assert_eq!(all.len(), 2);
    assert_eq!(all.iter().filter_map(Listed::entry).count(), 1);
    let known = "/api/audit-logs?action=auth.registered";
    assert_eq!(user.get(known).await.data(200), json!([list[1]]));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    for (query, error) in [
        ("cursor=Zm9yZ2Vk", "`cursor` must be a `nextCursor` of this list"),
        ("from=yesterday", "`from` must be a date such as 2026-01-31"),
        ("from=2026-01-02&to=2026-01-01", "`from` must not be after `to`"),
        ("page=2", "`page` is unknown"),
    ] {
        let answer = user.get(&format!("/api/audit-logs?{query}")).await;
        assert_eq!(answer.error(), format!("400 VALIDATION_ERROR: {error}"));
    }
}
