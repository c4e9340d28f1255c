//! Idempotency keys of requests about a chat: they go by what the request says, not by what is known of the chat.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::message::{Direction, Kind, MessageRecord};
use shared::domain::person::Person;
use shared::ids::{InstanceId, MessageId};
use shared::storage::people::{Lesson, People};

use crate::support::{Answer, Caller, World};
use testbed::asked::willing;

const NUMBER: &str = "15550100002";
const LID: &str = "lid:200000000000002";

/// The directory learns that number and LID are one person, and time passes in which no process remembers otherwise.
async fn learn(world: &World, instance: InstanceId) {
    let lesson = Lesson {
        met: NUMBER.parse().expect("a number"),
        spelt: None,
        other: Some(LID.parse().expect("a LID")),
        on_whatsapp: None,
        looked_up: None,
    };
    let people = People::new(world.state.table.clone());
    let learnt = people.learn(instance, 1, &lesson, world.clock.now()).await;
    learnt.expect("stored");
    world.clock.advance(TimeDelta::seconds(10));
    world.daemon.lives().await;
}

async fn ask(key: &Caller, name: &str, path: &str, body: &Value) -> Answer {
    let body = (!body.is_null()).then(|| body.clone());
    let key = key.with_header("idempotency-key", name);
    key.post(&format!("/api/chats/{path}"), body).await
}

#[tokio::test]
async fn the_same_request_is_the_same_when_the_directory_has_learnt_the_number() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(willing);
    let requests = ["archive", "pin", "mute", "read", "typing", "paused"].map(|what| format!("{LID}/{what}"));
    for path in &requests {
        let first = ask(&key, path, path, &Value::Null).await;
        first.data(200);
        assert_eq!(first.header("idempotency-replayed"), "");
    }
    learn(&world, instance).await;
    for path in &requests {
        let again = ask(&key, path, path, &Value::Null).await;
        again.data(200);
        assert_eq!(again.header("idempotency-replayed"), "true", "{path}");
    }
    assert_eq!(asked.asks().len(), requests.len());
}

#[tokio::test]
async fn another_chat_another_route_and_another_body_are_other_requests() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(willing);
    learn(&world, instance).await;
    let until = world.clock.now() + TimeDelta::hours(1);
    let by_number = format!("{NUMBER}/mute");
    ask(&key, "k", &by_number, &json!({"until": until}))
        .await
        .data(200);
    for (path, body) in [
        (format!("{LID}/mute"), json!({"until": until})),
        (by_number.clone(), json!({"until": until + TimeDelta::hours(1)})),
        (by_number, Value::Null),
        (format!("{NUMBER}/pin"), Value::Null),
    ] {
        let answer = ask(&key, "k", &path, &body).await;
        assert_eq!(answer.code(), "409 IDEMPOTENCY_CONFLICT", "{path} {body}");
    }
    assert_eq!(asked.asks().len(), 1);
}

#[tokio::test]
async fn a_mute_whose_time_is_over_has_its_first_answer() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let until = world.clock.now() + TimeDelta::hours(1);
    let (path, body) = (format!("{NUMBER}/mute"), json!({"until": until}));
    let first = ask(&key, "k", &path, &body).await.data(200);
    world.clock.advance(TimeDelta::hours(2));
    world.daemon.lives().await;
    let again = ask(&key, "k", &path, &body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(200), first);
    assert_eq!(asked.asks().len(), 1);
    // Without an earlier request the time is over, and the key is left to the next one.
    for _ in 0..2 {
        assert_eq!(
            ask(&key, "other", &path, &body).await.code(),
            "400 VALIDATION_ERROR"
        );
    }
    let later = json!({"until": world.clock.now() + TimeDelta::hours(1)});
    ask(&key, "other", &path, &later).await.data(200);
}

/// Two names of one person were two chats before the directory knew, and a message of one is not of the other.
#[tokio::test]
async fn what_was_read_up_to_a_message_has_its_first_answer() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(willing);
    let now = world.clock.now();
    let (id, chat) = (MessageId::new(now), LID.parse().expect("a LID"));
    let person = Person::of(&chat);
    let record = MessageRecord::new(id, instance, Direction::Incoming, Kind::Text, chat, person, now);
    let messages = &world.states.messaging.messages;
    messages.put(&record).await.expect("stored");
    let (path, body) = (format!("{LID}/read"), json!({"upTo": id}));
    ask(&key, "k", &path, &body).await.data(200);
    learn(&world, instance).await;
    let again = ask(&key, "k", &path, &body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    again.data(200);
    assert_eq!(
        ask(&key, "other", &path, &body).await.code(),
        "400 VALIDATION_ERROR"
    );
    assert_eq!(asked.asks().len(), 1);
}
