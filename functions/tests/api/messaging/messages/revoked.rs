//! A message is taken back once, and nothing more is said of one that was.

use chrono::TimeDelta;
use serde_json::json;
use shared::domain::message::{Failure, FailureCode, State};
use shared::ids::MessageId;
use testbed::relay::Fate;

use super::about::{BOB, id, text};
use crate::support::{Caller, World};

/// A sent message and the path to it.
async fn sent(world: &World, instance: shared::ids::InstanceId, key: &Caller) -> String {
    let message = text(key, BOB).await;
    world.becomes(instance, message, State::Sent).await;
    format!("/api/messages/{message}")
}

async fn delete(key: &Caller, path: &str) -> MessageId {
    id(&key.delete(path).await.data(200)["revoke"]["id"])
}

#[tokio::test]
async fn a_message_is_taken_back_once_however_often_that_is_asked() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let path = sent(&world, instance, &key).await;
    let first = key.delete(&path).await;
    let revoke = id(&first.data(200)["revoke"]["id"]);
    // Again at once, under keys of its own, and after the queue has forgotten the first job.
    for name in ["", "one", "two"] {
        let again = match name {
            "" => key.delete(&path).await,
            name => key.with_header("idempotency-key", name).delete(&path).await,
        };
        assert_eq!(again.data(200), first.data(200), "{name}");
        assert_eq!(again.header("idempotency-replayed") == "true", !name.is_empty());
    }
    assert_eq!(world.jobs(instance).await.len(), 2, "a text and its revoke");
    assert_eq!(world.counted(&user.subscription, instance).await.0, 2);
    world.becomes(instance, revoke, State::Delivered).await;
    world.clock.advance(TimeDelta::hours(30));
    world.daemon.lives().await;
    assert_eq!(delete(&key, &path).await, revoke);
    assert_eq!(world.jobs(instance).await.len(), 2);
}

#[tokio::test]
async fn two_who_take_a_message_back_at_once_make_one_revoke() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let path = sent(&world, instance, &key).await;
    let (one, two) = (
        key.with_header("idempotency-key", "one"),
        key.with_header("idempotency-key", "two"),
    );
    let (a, b, c) = tokio::join!(delete(&one, &path), delete(&two, &path), delete(&key, &path));
    assert!(a == b && b == c, "{a} {b} {c}");
    assert_eq!(world.jobs(instance).await.len(), 2);
}

#[tokio::test]
async fn a_revoke_that_failed_is_tried_anew() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let path = sent(&world, instance, &key).await;
    let first = delete(&key, &path).await;
    let failure = Failure::of(FailureCode::RefusedForbidden);
    world
        .becomes_for(instance, first, State::Failed, Some(failure))
        .await;
    // It was not taken back, so one can react to it.
    let reaction = format!("{path}/reaction");
    key.post(&reaction, json!({"emoji": "👍"})).await.data(202);
    let second = delete(&key, &path).await;
    assert_ne!(first, second);
    assert_eq!(delete(&key, &path).await, second);
}

#[tokio::test]
async fn what_was_taken_back_is_neither_edited_nor_reacted_to() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let path = sent(&world, instance, &key).await;
    let reaction = format!("{path}/reaction");
    let once = key.with_header("idempotency-key", "early");
    let early = once.post(&reaction, json!({"emoji": "👍"})).await.data(202);
    delete(&key, &path).await;
    let refused = "409 CONFLICT: The message was taken back";
    for emoji in ["👍", ""] {
        assert_eq!(
            key.post(&reaction, json!({"emoji": emoji})).await.error(),
            refused
        );
    }
    let edit = key.patch(&path, json!({"text": "other"})).await;
    assert_eq!(edit.error(), refused);
    // What was accepted before still has its answer.
    assert_eq!(
        once.post(&reaction, json!({"emoji": "👍"})).await.data(202),
        early
    );
}

/// The mark without its revoke, as a process leaves it that ends just then.
#[tokio::test]
async fn a_revoke_that_was_cut_short_is_made_by_the_next_request() {
    let world = World::faulty(1).await;
    let (user, instance, key) = world.ready().await;
    let path = sent(&world, instance, &key).await;
    let faults = world.faults.as_ref().expect("a faulty table");
    // The month's count, which comes after the mark.
    faults.plan("UpdateItem", "month#", [Fate::FAILED]);
    let cut = key.delete(&path).await;
    assert_eq!(cut.status, 503, "{}", cut.error());
    let reaction = format!("{path}/reaction");
    key.post(&reaction, json!({"emoji": "👍"})).await.data(202);
    let before = world.counted(&user.subscription, instance).await.0;
    let revoke = delete(&key, &path).await;
    assert_eq!(delete(&key, &path).await, revoke);
    assert_eq!(world.counted(&user.subscription, instance).await.0, before + 1);
    assert_eq!(key.post(&reaction, json!({"emoji": "👍"})).await.status, 409);
}
