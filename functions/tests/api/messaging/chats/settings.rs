//! `POST` and `DELETE /api/chats/{chat}/archive`, `pin` and `mute`.

use axum::http::Method;
use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::chats::ChatChange;
use shared::domain::question::{Ask, ChangeChat};
use shared::storage::people::{Lesson, People};

use crate::support::World;
use testbed::asked::willing;

const NUMBER: &str = "15550100002";

#[tokio::test]
async fn a_chat_is_archived_pinned_and_muted_and_all_that_ends() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let chat = json!({"phone": NUMBER, "lid": null, "group": null});
    let until = world.clock.now() + TimeDelta::hours(8);
    for (setting, body, more, set, ended) in [
        (
            "archive",
            Value::Null,
            json!({"archived": true}),
            ChatChange::Archive { archived: true },
            ChatChange::Archive { archived: false },
        ),
        (
            "pin",
            Value::Null,
            json!({"pinned": true}),
            ChatChange::Pin { pinned: true },
            ChatChange::Pin { pinned: false },
        ),
        (
            "mute",
            Value::Null,
            json!({"muted": true, "until": null}),
            ChatChange::Mute { until: None },
            ChatChange::Unmute,
        ),
        (
            "mute",
            json!({"until": until}),
            json!({"muted": true, "until": until.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)}),
            ChatChange::Mute { until: Some(until) },
            ChatChange::Unmute,
        ),
    ] {
        let path = format!("/api/chats/{NUMBER}/{setting}");
        let body = (!body.is_null()).then_some(body);
        let mut data = key.request(Method::POST, &path, body).await.data(200);
        assert_eq!(data["chat"], chat);
        data.as_object_mut().expect("an object").remove("chat");
        assert_eq!(data, more, "{setting}");
        let deleted = key.request(Method::DELETE, &path, ()).await.data(200);
        assert_eq!(
            deleted,
            json!({"id": "15550100002@s.whatsapp.net", "deleted": true})
        );
        let chat = NUMBER
            .parse::<shared::domain::recipient::Recipient>()
            .expect("a number");
        let asks = asked.asks();
        let expected = [set, ended].map(|change| {
            let chat = chat.clone();
            Ask::from(ChangeChat { chat, change })
        });
        assert_eq!(asks[asks.len() - 2..], expected, "{setting}");
    }
}

#[tokio::test]
async fn a_chat_that_is_named_by_lid_is_set_by_its_number() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(willing);
    let name = |text: &str| text.parse().expect("a name");
    let lesson = Lesson {
        met: name("lid:200000000000002"),
        spelt: None,
        other: Some(name(NUMBER)),
        on_whatsapp: None,
        looked_up: None,
    };
    let people = People::new(world.state.table.clone());
    let learnt = people.learn(instance, 1, &lesson, world.clock.now()).await;
    learnt.expect("stored");
    let data = key.post("/api/chats/lid:200000000000002/pin", ()).await.data(200);
    assert_eq!(
        data["chat"],
        json!({"phone": NUMBER, "lid": "200000000000002", "group": null})
    );
    let change = ChatChange::Pin { pinned: true };
    let chat = name(NUMBER);
    assert_eq!(asked.asks(), [ChangeChat { chat, change }.into()]);
}

#[tokio::test]
async fn a_wrong_end_of_a_mute_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    for (body, field) in [
        (json!({"until": world.clock.now()}), "until"),
        (json!({"until": "tomorrow"}), "until"),
        (json!({"until": null}), "until"),
        (json!({"untl": "2030-01-01T00:00:00Z"}), "untl"),
    ] {
        let answer = key.post(&format!("/api/chats/{NUMBER}/mute"), body).await;
        assert_eq!(answer.code(), "400 VALIDATION_ERROR");
        assert_eq!(answer.bad_fields()[0], field);
    }
    assert!(asked.asks().is_empty());
}
