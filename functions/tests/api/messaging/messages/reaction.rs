//! `POST /api/messages/{message}/reaction`.

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock as _;
use shared::domain::content::{Content, Reaction, Target};
use shared::domain::message::{Direction, Failure, FailureCode, Kind, State};
use shared::domain::person::Person;
use shared::storage::messages::Away;

use super::about::{BOB, GROUP, id, text};
use crate::support::World;

fn reaction(target: Target, emoji: &str) -> Content {
    Content::Reaction(Reaction {
        target,
        emoji: emoji.to_owned(),
    })
}

fn target(whatsapp_id: &str, from_me: bool) -> Target {
    Target {
        whatsapp_id: whatsapp_id.to_owned(),
        from_me,
        author: Person::default(),
    }
}

/// Its job is not in its lane, so what is said of it would be there first.
#[tokio::test]
async fn nothing_is_said_of_a_message_that_is_put_off() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let message = text(&key, BOB).await;
    let keyed = key.with_header("idempotency-key", "order-42");
    let reply = json!({"to": BOB, "text": "an answer", "replyTo": {"id": message}});
    let before = keyed.send("text", reply.clone()).await.data(202);
    let at = world.clock.now() + TimeDelta::hours(5);
    let messages = &world.state.messages;
    let put = messages.put_away(instance, message, at).await;
    assert_eq!(put.expect("stored"), Away::Done { before: None });

    let told = "409 CONFLICT: The message is not sent yet: it is put off until 2026-01-01T05:00:00.000Z";
    let path = format!("/api/messages/{message}");
    let reaction = format!("{path}/reaction");
    let emoji = json!({"emoji": "👍"});
    assert_eq!(key.post(&reaction, emoji.clone()).await.error(), told);
    assert_eq!(
        key.patch(&path, json!({"text": "hello again"})).await.error(),
        told
    );
    assert_eq!(key.send("text", reply.clone()).await.error(), told);
    // What was accepted before stays so.
    assert_eq!(keyed.send("text", reply.clone()).await.data(202), before);

    messages.bring_back(instance, message, at).await.expect("stored");
    key.post(&reaction, emoji).await.data(202);
    key.send("text", reply).await.data(202);
}

#[tokio::test]
async fn a_reaction_is_a_message_in_the_lane_of_the_one_that_it_is_about() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let message = text(&key, BOB).await;
    let path = format!("/api/messages/{message}/reaction");
    let body = json!({"emoji": "👍", "reference": "order-42"});
    let accepted = key.post(&path, body).await.data(202);
    assert_eq!(
        (&accepted["kind"], &accepted["status"], &accepted["to"]["phone"]),
        (&json!("reaction"), &json!("queued"), &json!(BOB))
    );
    let reaction_id = id(&accepted["id"]);
    assert_ne!(reaction_id, message);

    // Of one lane, behind the message.
    let jobs = world.jobs(instance).await;
    assert_eq!(jobs[0].0.message, message);
    let (job, content) = &jobs[1];
    assert_eq!(job.chat(), jobs[0].0.chat());
    assert_eq!((job.message, job.kind), (reaction_id, Kind::Reaction));
    assert!(*content == reaction(target(&message.to_whatsapp(), true), "👍"));
    let record = world.state.messages.get(instance, reaction_id).await;
    let record = record.expect("read").expect("there");
    assert_eq!(record.reference.as_deref(), Some("order-42"));
    assert_eq!(world.counted(&user.subscription, instance).await, (2, 0));
}

#[tokio::test]
async fn incoming_messages_and_those_of_other_devices_are_named_by_whatsapps_ids() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let lid = "200000000000001";
    let member = Target {
        author: Person {
            phone: None,
            lid: Some(lid.to_owned()),
        },
        ..target("3AFF01", false)
    };
    let mut wanted = Vec::new();
    for (chat, direction, named) in [
        (
            "lid:200000000000001",
            Direction::Incoming,
            target("3AFF01", false),
        ),
        ("lid:200000000000001", Direction::Outgoing, target("3AFF01", true)),
        (GROUP, Direction::Incoming, member),
    ] {
        let record = world.came_in(instance, chat, lid, direction).await;
        let path = format!("/api/messages/{}/reaction", record.id);
        let accepted = key.post(&path, json!({"emoji": ""})).await.data(202);
        wanted.push((id(&accepted["id"]), record.chat, named));
    }
    let jobs = world.jobs(instance).await;
    assert_eq!(jobs.len(), wanted.len());
    for (reaction_id, chat, named) in wanted {
        let (job, content) = jobs
            .iter()
            .find(|(job, _)| job.message == reaction_id)
            .expect("a job");
        assert!(*content == reaction(named, ""), "{chat:?}");
        assert_eq!((&job.to, job.chat()), (&chat, &chat), "the lane is the message's");
    }
}

#[tokio::test]
async fn what_nobody_has_is_not_reacted_to() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let react = async |message, emoji: &str| {
        let path = format!("/api/messages/{message}/reaction");
        key.post(&path, json!({"emoji": emoji})).await
    };
    for (state, told) in [
        (State::Failed, "409 CONFLICT: The message was not sent"),
        (State::Expired, "409 CONFLICT: The message was not sent"),
        (
            State::Cancelled,
            "409 CONFLICT: The message was taken back before it was sent",
        ),
    ] {
        let message = text(&key, BOB).await;
        let failure = Some(Failure::of(FailureCode::RefusedForbidden));
        let failure = failure.filter(|_| state == State::Failed);
        world.becomes_for(instance, message, state, failure).await;
        assert_eq!(react(message.to_string(), "👍").await.error(), told, "{state}");
    }
    let message = text(&key, BOB).await;
    let reaction = react(message.to_string(), "👍").await.data(202);
    let of_reaction = react(id(&reaction["id"]).to_string(), "👍").await;
    assert_eq!(
        of_reaction.error(),
        "409 CONFLICT: A reaction cannot be reacted to"
    );
    assert_eq!(
        react("msg_01JD0000000000000000000000".to_owned(), "👍")
            .await
            .error(),
        "404 NOT_FOUND: There is no such message"
    );
}

#[tokio::test]
async fn every_fault_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let message = text(&key, BOB).await;
    let path = format!("/api/messages/{message}/reaction");
    for (body, told) in [
        (
            json!({"emoji": "ok"}),
            vec![("emoji", "must be one emoji of at most 16 characters, or empty")],
        ),
        (json!({}), vec![("emoji", "is missing")]),
        (json!({"emoji": null}), vec![("emoji", "must not be null")]),
        (
            json!({"emoji": "👍", "to": BOB, "replyTo": {}}),
            vec![("replyTo", "is unknown"), ("to", "is unknown")],
        ),
        (
            json!({"emoji": "👍", "expiresAt": "2020-01-01T00:00:00Z"}),
            vec![(
                "expiresAt",
                "must be an RFC 3339 time in the future, within 3 days",
            )],
        ),
    ] {
        let answer = key.post(&path, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        let wanted = told.iter().map(|(field, message)| format!("{field} {message}"));
        assert_eq!(answer.faults(), wanted.collect::<Vec<_>>(), "{body}");
    }
}

/// The message is in the path, and belongs to the request.
#[tokio::test]
async fn a_key_stands_for_a_reaction_to_one_message() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let (message, other) = (text(&key, BOB).await, text(&key, BOB).await);
    let once = key.with_header("idempotency-key", "thumb");
    let path = |id| format!("/api/messages/{id}/reaction");
    let first = once.post(&path(message), json!({"emoji": "👍"})).await.data(202);
    let again = once.post(&path(message), json!({"emoji": "👍"})).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(202), first);
    assert_eq!(
        once.post(&path(other), json!({"emoji": "👍"})).await.error(),
        "409 IDEMPOTENCY_CONFLICT: The idempotency key came with another request before"
    );
    // What became of the message since does not change the answer.
    world.becomes(instance, message, State::Cancelled).await;
    let again = once.post(&path(message), json!({"emoji": "👍"})).await.data(202);
    assert_eq!(again, first);
}
