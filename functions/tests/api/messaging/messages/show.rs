//! `GET /api/messages/{message}`.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::message::{Failure, FailureCode, State};
use shared::domain::person::Person;
use shared::domain::roster::Roster;
use shared::ids::MessageId;
use shared::storage::keys;
use shared::storage::messages::Change;

use crate::support::World;

#[tokio::test]
async fn what_became_of_a_message_is_told() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let body = json!({"to": "15550100002", "text": "x", "reference": "order-42"});
    let sent = key.send("text", body).await.data(202);
    let id: MessageId = sent["id"].as_str().expect("an id").parse().expect("an id");
    let path = format!("/api/messages/{id}");
    world.clock.advance(chrono::TimeDelta::seconds(1));
    let change = Change {
        state: State::Failed,
        at: world.clock.now(),
        failure: Some(Failure::of(FailureCode::ReachoutRestricted).with_error(463)),
    };
    world
        .state
        .messages
        .change(instance, id, &change)
        .await
        .expect("stored");
    assert_eq!(
        key.get(&path).await.data(200),
        json!({
            "id": id,
            "direction": "outgoing",
            "kind": "text",
            "status": "failed",
            "to": {"phone": "15550100002", "lid": null, "group": null},
            "from": null,
            "reference": "order-42",
            "error": {
                "code": "REACHOUT_RESTRICTED",
                "message": "WhatsApp does not let this account begin new chats now (error 463)",
                "retryable": true,
                "retryAfter": null,
            },
            "receipts": null,
            "truncated": false,
            "createdAt": "2026-01-01T00:00:00.000Z",
            "receivedAt": null,
            "scheduledAt": null,
            "updatedAt": "2026-01-01T00:00:01.000Z",
            "sentAt": null,
            "deliveredAt": null,
            "readAt": null,
        })
    );

    // In a group it tells how many members it has reached.
    let body = json!({"to": "120363021033254949@g.us", "text": "x"});
    let sent = key.send("text", body).await.data(202);
    let id: MessageId = sent["id"].as_str().expect("an id").parse().expect("an id");
    let messages = &world.state.messages;
    let members: Vec<Person> = ["15550100003", "15550100004"]
        .map(|phone| Person {
            phone: Some(phone.to_owned()),
            lid: None,
        })
        .into();
    let roster = Roster::new(instance, &members);
    assert!(
        messages
            .begin_progress(instance, id, &roster)
            .await
            .expect("stored")
    );
    let progress = messages.get_progress(instance, id).await.expect("read");
    let mut progress = progress.expect("a record");
    progress.delivered.add(1);
    assert!(messages.advance(instance, id, &progress).await.expect("stored"));
    let in_group = format!("/api/messages/{id}");
    assert_eq!(
        key.get(&in_group).await.data(200)["receipts"],
        json!({"delivered": 1, "read": 0, "of": 2})
    );

    // Another instance's message is nobody's.
    let other = world.instance(&user, "support").await;
    let other = world.key(&user, other, json!({})).await;
    assert_eq!(
        other.get(&path).await.error(),
        "404 NOT_FOUND: There is no such message"
    );
    assert_eq!(
        key.get("/api/messages/3EB0C0FFEE").await.error(),
        "404 NOT_FOUND: There is no such resource"
    );
}

/// As a build stores it that knows one kind more.
#[tokio::test]
async fn a_message_of_a_newer_kind_is_listed_as_unknown() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let body = json!({"to": "15550100002", "text": "x"});
    let sent = key.send("text", body).await.data(202);
    let id: MessageId = sent["id"].as_str().expect("an id").parse().expect("an id");
    let table = &world.state.table;
    let update = |key: keys::Key, expression: &str, value| {
        table
            .client()
            .update_item()
            .table_name(table.name())
            .set_key(Some(key.attributes()))
            .update_expression(expression)
            .expression_attribute_values(":value", value)
    };
    let hologram = AttributeValue::S("hologram".to_owned());
    let stored = update(keys::message(instance, id), "SET kind = :value", hologram);
    stored.send().await.expect("stored");
    let day = keys::day(instance, world.clock.now());
    let two = AttributeValue::N("2".to_owned());
    let counted = update(day, "ADD #kind :value, sent :value", two);
    let counted = counted.expression_attribute_names("#kind", "sent#hologram");
    counted.send().await.expect("counted");

    let shown = key.get(&format!("/api/messages/{id}")).await.data(200);
    assert_eq!(
        (&shown["kind"], &shown["status"]),
        (&json!("unknown"), &json!("queued"))
    );
    let listed = user.get("/api/instances/sales/messages").await;
    assert_eq!(listed.data(200)[0]["kind"], "unknown");
    let counts = key.get("/api/stats").await.data(200);
    assert_eq!(counts["byKind"], json!({"unknown": 2}));
    assert_eq!(counts["totals"]["sent"], 2);
}
