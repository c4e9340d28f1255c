//! A group of as many as there may be.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::shard;
use shared::ids::InstanceId;
use testbed::wait::until_within;
use tests::flow::unique;

use super::scene::{Scene, statuses};

/// How long a text to a full group may take on its way to everybody: the first one needs keys of them all.
const TO_EVERYBODY: Duration = Duration::from_mins(4);

/// The lane of a chat, the same in every instance.
fn lane_of(chat: &str) -> String {
    let instance = InstanceId::from_bytes([0; 16]);
    shard::lane(instance, &chat.parse().expect("a chat"))
}

/// As many as a group may have.
#[tokio::test]
async fn a_full_group_is_made_listed_written_to_and_left() {
    let scene = Scene::new().await;
    let Scene { phones, paired, .. } = &scene;
    let others: Vec<String> = stream::iter(0..1_022)
        .map(|n| async move { phones.create(&format!("Member {n}")).await })
        .buffered(16)
        .collect()
        .await;
    let mut everybody = vec![paired.other.clone()];
    everybody.extend(others);
    let body = json!({"subject": "Everybody", "participants": &everybody});
    // Meanwhile others are written to.
    let (made, hello) = tokio::join!(
        paired.key.post("/api/groups", body),
        paired.key.send_text(&paired.other, "Hello, meanwhile"),
    );
    let made = made.data(201);
    paired.key.until_state(&hello, "delivered").await;
    assert!(statuses(&made).iter().all(|status| status == "done"));
    assert_eq!((&made["size"], statuses(&made).len()), (&json!(1_024), 1_023));
    let group = made["id"].as_str().expect("an id");
    assert_eq!(paired.key.get("/api/groups").await.data(200)[0]["size"], 1_024);
    let shown = scene.call(Method::GET, group, "", Value::Null).await;
    let people = shown["participants"].as_array().expect("a list");
    assert_eq!(people.len(), 1_024);
    assert!(
        people
            .iter()
            .all(|one| one["phone"].is_string() && one["lid"].is_string())
    );
    // There is no place for one more.
    let late = phones.create("Late").await;
    let added = scene.change(Method::POST, group, "/participants", &[&late]).await;
    assert_eq!(added, ["not_allowed"]);

    // Nor does the text to all hold up its own lane: what comes after it goes out while keys are agreed upon.
    let (first, hello) = (unique(), unique());
    let beside = loop {
        let phone = phones.create("Beside").await;
        if lane_of(&phone) == lane_of(group) {
            break phone;
        }
    };
    let message = paired.key.send_text(group, &first).await;
    let meanwhile = paired.key.send_text(&beside, &hello).await;
    let meanwhile = paired.key.until_state(&meanwhile, "delivered").await;
    let path = format!("/api/messages/{message}");
    let sent = until_within(TO_EVERYBODY, "the text to everybody", async || {
        let record = paired.key.get(&path).await.data(200);
        assert_ne!(record["status"], "failed", "{record}");
        record["sentAt"].is_string().then_some(record)
    })
    .await;
    assert!(
        meanwhile["sentAt"].as_str() < sent["sentAt"].as_str(),
        "{meanwhile} before {sent}"
    );
    let second = paired.key.send_text(group, &unique()).await;
    let path = format!("/api/messages/{second}");
    until_within(TO_EVERYBODY, "the second text at everybody", async || {
        let record = paired.key.get(&path).await.data(200);
        (record["status"] == "delivered").then_some(())
    })
    .await;
    for reader in &everybody {
        until_within(TO_EVERYBODY, "the text on each phone", async || {
            let inbox = phones.inbox(reader).await;
            let shown = inbox.iter().filter(|shown| shown["text"] == first.as_str());
            (shown.count() == 1).then_some(())
        })
        .await;
    }

    paired
        .key
        .post(&format!("/api/groups/{group}/leave"), ())
        .await
        .data(200);
    assert_eq!(paired.key.get("/api/groups").await.data(200), json!([]));
    scene.end().await;
}
