//! `PATCH /api/messages/{message}`.

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock as _;
use shared::domain::content::{Content, Edit, Target};
use shared::domain::message::{Direction, Kind, State};
use shared::domain::person::Person;

use super::about::{BOB, id, text};
use crate::support::World;

#[tokio::test]
async fn an_edit_goes_out_within_the_window_or_not_at_all() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let message = text(&key, BOB).await;
    let path = format!("/api/messages/{message}");
    world.becomes(instance, message, State::Sent).await;
    let sent_at = world.clock.now();
    world.minutes_pass(14);
    let accepted = key.patch(&path, json!({"text": "y"})).await.data(202);
    assert_eq!(
        (&accepted["kind"], &accepted["status"]),
        (&json!("edit"), &json!("queued"))
    );
    let record = world.state.messages.get(instance, id(&accepted["id"])).await;
    let record = record.expect("read").expect("there");
    assert_eq!(record.expires_at, Some(sent_at + TimeDelta::minutes(15)));

    world.minutes_pass(1);
    let late = key.patch(&path, json!({"text": "z"})).await;
    assert_eq!(
        late.error(),
        "409 EDIT_WINDOW_CLOSED: WhatsApp lets a text be edited for 15 minutes after it was sent"
    );
    assert_eq!(
        late.json()["error"]["details"]["closedAt"],
        json!("2026-01-01T00:15:00.000Z")
    );
}

#[tokio::test]
async fn a_text_that_waits_can_be_edited_too_and_an_edit_names_what_it_changes() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let record = world
        .came_in(
            instance,
            "lid:200000000000001",
            "200000000000001",
            Direction::Outgoing,
        )
        .await;
    key.patch(&format!("/api/messages/{}", record.id), json!({"text": "y"}))
        .await
        .data(202);
    let jobs = world.jobs(instance).await;
    let wanted = Content::Edit(Edit {
        target: Target {
            whatsapp_id: "3AFF01".to_owned(),
            from_me: true,
            author: Person::default(),
        },
        text: "y".to_owned(),
    });
    assert!(jobs[0].1 == wanted);
    assert_eq!(jobs[0].0.kind, Kind::Edit);

    let message = text(&key, BOB).await;
    world.minutes_pass(60);
    key.patch(&format!("/api/messages/{message}"), json!({"text": "y"}))
        .await
        .data(202);
}

#[tokio::test]
async fn what_cannot_be_edited_is_refused_by_name() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let edit = async |message: String| {
        let path = format!("/api/messages/{message}");
        key.patch(&path, json!({"text": "y"})).await.error()
    };
    let place = json!({"to": BOB, "latitude": 1, "longitude": 2});
    let place = key.send("location", place).await.data(202);
    assert_eq!(
        edit(id(&place["id"]).to_string()).await,
        "409 CONFLICT: A location cannot be edited: only texts can"
    );
    let incoming = world
        .came_in(
            instance,
            "lid:200000000000001",
            "200000000000001",
            Direction::Incoming,
        )
        .await;
    assert_eq!(
        edit(incoming.id.to_string()).await,
        "409 CONFLICT: Only messages of the account's own can be edited"
    );
    let message = text(&key, BOB).await;
    let path = format!("/api/messages/{message}");
    let first = key.patch(&path, json!({"text": "y"})).await.data(202);
    assert_eq!(
        edit(id(&first["id"]).to_string()).await,
        "409 CONFLICT: An edit cannot be edited: only texts can"
    );
    world.becomes(instance, message, State::Expired).await;
    assert_eq!(
        edit(message.to_string()).await,
        "409 CONFLICT: The message was not sent"
    );
    for (body, told) in [
        (
            json!({"text": ""}),
            "400 VALIDATION_ERROR: `text` must have 1 to 4096 characters",
        ),
        (json!({}), "400 VALIDATION_ERROR: `text` is missing"),
        (
            json!({"text": "y", "emoji": "x"}),
            "400 VALIDATION_ERROR: `emoji` is unknown",
        ),
    ] {
        assert_eq!(key.patch(&path, body).await.error(), told);
    }
}

/// A retry whose first answer was lost is no second edit.
#[tokio::test]
async fn an_edit_is_answered_again_after_its_window() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let message = text(&key, BOB).await;
    world.becomes(instance, message, State::Sent).await;
    let once = key.with_header("idempotency-key", "better");
    let path = format!("/api/messages/{message}");
    let first = once.patch(&path, json!({"text": "y"})).await.data(202);
    world.minutes_pass(20);
    assert_eq!(once.patch(&path, json!({"text": "y"})).await.data(202), first);
    assert_eq!(
        once.patch(&path, json!({"text": "z"})).await.error(),
        "409 IDEMPOTENCY_CONFLICT: The idempotency key came with another request before"
    );
}
