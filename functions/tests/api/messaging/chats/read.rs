//! `POST /api/chats/{chat}/read`.

use serde_json::json;
use shared::clock::Clock;
use shared::domain::message::{Direction, Kind, MessageRecord};
use shared::domain::person::Person;
use shared::domain::question::{Ask, ReadChat};
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};

use crate::support::World;
use testbed::asked::willing;

const PATH: &str = "/api/chats/15550100002/read";

fn chat(text: &str) -> Recipient {
    text.parse().expect("a chat")
}

async fn received(world: &World, instance: InstanceId, from: &str) -> MessageId {
    let now = world.clock.now();
    let (id, from) = (MessageId::new(now), chat(from));
    let person = Person::of(&from);
    let record = MessageRecord::new(id, instance, Direction::Incoming, Kind::Text, from, person, now);
    world
        .states
        .messaging
        .messages
        .put(&record)
        .await
        .expect("stored");
    id
}

#[tokio::test]
async fn a_chat_is_read_to_its_end_or_up_to_a_message() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(willing);
    let id = received(&world, instance, "15550100002").await;
    let whole = key.post(PATH, ()).await.data(200);
    assert_eq!(
        whole,
        json!({"chat": {"phone": "15550100002", "lid": null, "group": null}, "messages": 2})
    );
    key.post(PATH, json!({"upTo": id})).await.data(200);
    let asks = [None, Some(id)].map(|up_to| {
        let chat = chat("15550100002");
        Ask::from(ReadChat { chat, up_to })
    });
    assert_eq!(asked.asks(), asks);
}

#[tokio::test]
async fn a_message_that_is_not_of_the_chat_is_refused() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(willing);
    let foreign = received(&world, instance, "15550100003").await;
    let other = received(&world, InstanceId::new(world.clock.now()), "15550100002").await;
    for (up_to, expected) in [
        (json!(foreign), "400 VALIDATION_ERROR"),
        (json!("3EB0"), "400 VALIDATION_ERROR"),
        (json!(null), "400 VALIDATION_ERROR"),
        (json!(other), "404 NOT_FOUND"),
    ] {
        let answer = key.post(PATH, json!({"upTo": up_to})).await;
        assert_eq!(answer.code(), expected, "{up_to}");
    }
    assert!(asked.asks().is_empty());
}
