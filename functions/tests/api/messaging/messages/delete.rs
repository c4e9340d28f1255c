//! `DELETE /api/messages/{message}`.

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock as _;
use shared::domain::content::{Content, Revoke, Target};
use shared::domain::counting::Counter;
use shared::domain::message::{Direction, Failure, FailureCode, Kind, State};
use shared::domain::person::Person;
use shared::storage::messages::Away;
use testbed::relay::Fate;

use super::about::{BOB, GROUP, id, text};
use super::scheduled::{entries, reminders};
use crate::support::World;

#[tokio::test]
async fn a_message_that_waits_is_cancelled_and_waits_no_more() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let message = text(&key, BOB).await;
    assert_eq!(world.counted(&user.subscription, instance).await, (1, 0));
    let path = format!("/api/messages/{message}");
    let deleted = key.delete(&path).await.data(200);
    let wanted = json!({"id": message, "deleted": true, "revoke": null});
    assert_eq!(deleted, wanted);
    assert_eq!(key.get(&path).await.data(200)["status"], "cancelled");
    // It stays counted for the month, and has ended.
    assert_eq!(world.counted(&user.subscription, instance).await, (1, 1));
    // To ask again does no harm, and counts nothing.
    assert_eq!(key.delete(&path).await.data(200), wanted);
    assert_eq!(world.counted(&user.subscription, instance).await, (1, 1));
    let jobs = world.jobs(instance).await;
    assert_eq!(
        jobs.len(),
        1,
        "the daemon finds the job, and reads that it is cancelled"
    );
}

/// Its webhook need not wait for the owner's own look.
#[tokio::test]
async fn a_message_that_is_scheduled_is_cancelled_and_its_owner_is_told() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let now = world.clock.now();
    let at = now + TimeDelta::hours(5);
    let body = json!({"to": BOB, "text": "never mind", "scheduledAt": at.to_rfc3339()});
    let accepted = key.send("text", body).await.data(202);
    assert!(reminders(&world).await.is_empty(), "there is time");
    let path = format!("/api/messages/{}", accepted["id"].as_str().expect("an id"));
    key.delete(&path).await.data(200);
    let entries = entries(&world).await;
    let [notice] = entries.as_slice() else {
        panic!("its content is gone: {entries:?}");
    };
    assert_eq!((notice.instance, notice.at, &notice.job), (instance, now, &None));
    assert_eq!(reminders(&world).await, [now]);
}

/// A daemon has put it off: the shard's owner is told at once, who knows whether it may be out.
#[tokio::test]
async fn a_message_that_is_put_off_is_cancelled_and_its_owner_is_told() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let message = text(&key, BOB).await;
    let (now, at) = (world.clock.now(), world.clock.now() + TimeDelta::hours(5));
    let put = world.state.messages.put_away(instance, message, at).await;
    assert_eq!(put.expect("stored"), Away::Done { before: None });
    let counters = &world.state.counters;
    let counted = counters.count(instance, &[Counter::PutOff], now).await;
    counted.expect("counted");

    let path = format!("/api/messages/{message}");
    let deleted = key.delete(&path).await.data(200);
    let wanted = json!({"id": message, "deleted": true, "revoke": null});
    assert_eq!(deleted, wanted);
    let entry = entries(&world).await.remove(0);
    assert_eq!(
        (entry.message, entry.instance, entry.at),
        (message, instance, now)
    );
    assert_eq!(entry.job, None, "its job is where the record says");
    let record = world.state.messages.get(instance, message).await.expect("read");
    assert_eq!(record.expect("there").put_off_at, Some(at));
    assert_eq!(reminders(&world).await, [now]);
    let month = counters.this_month(instance, now).await.expect("read");
    assert_eq!((month.ended, month.put_off), (1, 0));

    // Asked again, nothing is counted or told again.
    assert_eq!(key.delete(&path).await.data(200), wanted);
    assert_eq!(entries(&world).await.len(), 1);
    assert_eq!(world.counted(&user.subscription, instance).await, (1, 1));
}

#[tokio::test]
async fn a_message_that_was_sent_is_revoked() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let message = text(&key, BOB).await;
    world.becomes(instance, message, State::Delivered).await;
    let path = format!("/api/messages/{message}");
    let deleted = key.delete(&path).await.data(200);
    assert_eq!(
        (&deleted["id"], &deleted["deleted"]),
        (&json!(message), &json!(true))
    );
    let revoke = &deleted["revoke"];
    assert_eq!(
        (&revoke["kind"], &revoke["status"], &revoke["to"]["phone"]),
        (&json!("revoke"), &json!("queued"), &json!(BOB))
    );
    let jobs = world.jobs(instance).await;
    let (job, content) = &jobs[1];
    assert_eq!((job.message, job.kind), (id(&revoke["id"]), Kind::Revoke));
    let target = Target {
        whatsapp_id: message.to_whatsapp(),
        from_me: true,
        author: Person::default(),
    };
    assert!(*content == Content::Revoke(Revoke { target }));
    assert_eq!(world.counted(&user.subscription, instance).await.0, 2);
    assert_eq!(key.get(&path).await.data(200)["status"], "delivered");
}

#[tokio::test]
async fn others_messages_are_taken_back_in_groups_alone() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let lid = "200000000000001";
    let of_a_person = world
        .came_in(instance, "lid:200000000000001", lid, Direction::Incoming)
        .await;
    assert_eq!(
        key.delete(&format!("/api/messages/{}", of_a_person.id))
            .await
            .error(),
        "409 CONFLICT: Of a chat with one person only one's own messages can be taken back"
    );
    let of_a_member = world.came_in(instance, GROUP, lid, Direction::Incoming).await;
    key.delete(&format!("/api/messages/{}", of_a_member.id))
        .await
        .data(200);
    let jobs = world.jobs(instance).await;
    let target = Target {
        whatsapp_id: "3AFF01".to_owned(),
        from_me: false,
        author: Person {
            phone: None,
            lid: Some(lid.to_owned()),
        },
    };
    assert!(jobs[0].1 == Content::Revoke(Revoke { target }));
}

#[tokio::test]
async fn what_was_never_sent_and_what_only_says_something_of_others_is_not_taken_back() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let delete = async |message: String| key.delete(&format!("/api/messages/{message}")).await;
    let failed = text(&key, BOB).await;
    let failure = Failure::of(FailureCode::RefusedForbidden);
    world
        .becomes_for(instance, failed, State::Failed, Some(failure))
        .await;
    assert_eq!(
        delete(failed.to_string()).await.error(),
        "409 CONFLICT: The message was not sent"
    );
    // One of which nobody knows whether it arrived is.
    let in_doubt = text(&key, BOB).await;
    let failure = Failure::of(FailureCode::NoAcknowledgement);
    world
        .becomes_for(instance, in_doubt, State::Failed, Some(failure))
        .await;
    assert_eq!(
        delete(in_doubt.to_string()).await.data(200)["revoke"]["kind"],
        "revoke"
    );

    let message = text(&key, BOB).await;
    let path = format!("/api/messages/{message}/reaction");
    let reaction = key.post(&path, json!({"emoji": "👍"})).await.data(202);
    let reaction = id(&reaction["id"]);
    world.becomes(instance, reaction, State::Sent).await;
    assert_eq!(
        delete(reaction.to_string()).await.error(),
        "409 CONFLICT: A reaction is taken back by an empty one"
    );
    assert_eq!(
        delete("msg_01JD0000000000000000000000".to_owned()).await.error(),
        "404 NOT_FOUND: There is no such message"
    );
}

#[tokio::test]
async fn a_repeated_delete_finds_its_revoke() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let message = text(&key, BOB).await;
    world.becomes(instance, message, State::Sent).await;
    let once = key.with_header("idempotency-key", "gone");
    let path = format!("/api/messages/{message}");
    let first = once.delete(&path).await.data(200);
    let again = once.delete(&path).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(200), first);
}

/// A table that does not answer leaves the message as it was: the caller is told to try again.
#[tokio::test]
async fn a_cancellation_that_cannot_be_stored_is_an_error() {
    let world = World::faulty(1).await;
    let (_, _, key) = world.ready().await;
    let message = text(&key, BOB).await;
    let faults = world.faults.as_ref().expect("a faulty table");
    faults.plan("UpdateItem", "msgs#", [Fate::FAILED; 3]);
    let path = format!("/api/messages/{message}");
    assert_eq!(key.delete(&path).await.status, 503);
    assert_eq!(key.get(&path).await.data(200)["status"], "queued");
    assert_eq!(key.delete(&path).await.data(200)["deleted"], true);
}
