//! What becomes of the file of a message that is refused or in doubt, and what a retry does with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock as _;
use shared::domain::content::MAX_INLINE;
use shared::storage::keys;

use super::{TO, by_id, bytes, counted, invoice, is_taken, jobs, later, objects, stored, upload};
use crate::flaky_queue::Send;
use crate::support::World;

#[tokio::test]
async fn a_message_that_is_refused_leaves_no_file_and_frees_its_upload() {
    let world = World::with(|mut config| {
        config.messaging.schedule_limit = 1;
        config
    })
    .await;
    let (user, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let before = objects(&world);
    let text = json!({"to": TO, "text": "first", "scheduledAt": later(&world, 2).to_rfc3339()});
    key.send("text", text).await.data(202);
    for (body, kind) in [
        (by_id(&id), "document"),
        (
            json!({"to": TO, "base64": STANDARD.encode(bytes(MAX_INLINE))}),
            "voice",
        ),
    ] {
        let mut body = body;
        body["scheduledAt"] = json!(later(&world, 2).to_rfc3339());
        assert_eq!(key.send(kind, body).await.code(), "429 QUEUE_FULL");
        assert_eq!(objects(&world), before);
    }
    // The queue certainly has no job of it.
    world.queue.every_send(Some(Send::NoQueue));
    let refused = key.send("document", by_id(&id)).await;
    assert!(refused.status >= 500, "{}", refused.json());
    assert_eq!(objects(&world), before);
    world.queue.every_send(None);
    // Nobody knows, and nobody will ask again: it is taken back.
    world.queue.every_send(Some(Send::Away));
    assert_eq!(key.send("document", by_id(&id)).await.code(), "503 UNAVAILABLE");
    assert_eq!(objects(&world), before);
    world.queue.every_send(None);
    assert_eq!(counted(&world, &user).await, 1, "the first one alone");
    key.send("document", by_id(&id)).await.data(202);
}

/// Its retry may be accepted with the file while it still waits for the bucket. What it deletes after that is the retry's.
#[tokio::test]
async fn a_refused_request_under_a_key_takes_no_file_from_its_retry() {
    let world = World::with(|mut config| {
        config.messaging.schedule_limit = 1;
        config
    })
    .await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let at = later(&world, 2).to_rfc3339();
    let text = json!({"to": TO, "text": "first", "scheduledAt": at});
    key.send("text", text).await.data(202);
    let mut uploaded = by_id(&id);
    uploaded["scheduledAt"] = json!(at);
    let inline = json!({"to": TO, "base64": STANDARD.encode(bytes(MAX_INLINE)), "scheduledAt": at});
    for (kind, body, area) in [("document", uploaded, "taken"), ("voice", inline, "own")] {
        let keyed = key.with_header("idempotency-key", kind);
        assert_eq!(keyed.send(kind, body.clone()).await.code(), "429 QUEUE_FULL");
        let is_there = || {
            objects(&world)
                .iter()
                .any(|name| name.starts_with(&format!("later/{area}/")))
        };
        assert!(
            is_there(),
            "a retry may have been accepted with it: {:?}",
            objects(&world)
        );
        assert_eq!(keyed.send(kind, body).await.code(), "429 QUEUE_FULL");
        assert!(
            is_there(),
            "nor does the retry take it from a third: {:?}",
            objects(&world)
        );
    }
    assert!(is_taken(&world, instance, &id).await);
}

/// Where nobody knows whether the job is in the queue, the file stays for it, and a retry writes the same.
#[tokio::test]
async fn a_message_in_doubt_keeps_its_file_for_the_retry() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let inline = json!({"to": TO, "base64": STANDARD.encode(bytes(MAX_INLINE))});
    for (number, mut body) in [by_id(&id), inline].into_iter().enumerate() {
        // Each has a chat of its own: a job that was looked at hides those behind it.
        body["to"] = json!(format!("1555010000{number}"));
        let keyed = key.with_header("idempotency-key", &format!("order-{number}"));
        world.queue.every_send(Some(Send::Away));
        assert_eq!(
            keyed.send("document", body.clone()).await.code(),
            "503 UNAVAILABLE"
        );
        world.queue.every_send(None);
        let before = objects(&world);
        let accepted = keyed.send("document", body).await.data(202);
        let jobs = jobs(&world).await;
        let (job, ..) = jobs.last().expect("one");
        assert_eq!(accepted["id"], json!(job.message));
        let bucket = &world.states.messaging.bucket;
        assert!(
            stored(bucket, job.file.as_ref().expect("its file"))
                .await
                .is_some()
        );
        let ours = job.message.to_string();
        assert!(before.iter().any(|name| name.ends_with(&ours)), "{before:?}");
        assert_eq!(
            objects(&world)
                .iter()
                .filter(|name| name.ends_with(&ours))
                .count(),
            1
        );
    }
}

/// The request before has queued its job and moved the file, and its record is missing. The retry's times are others, and so is
/// its object's name; the job that is queued is the first one's.
#[tokio::test]
async fn a_retry_leaves_the_file_that_the_first_job_names() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let keyed = key.with_header("idempotency-key", "order-42");
    let mut body = by_id(&id);
    // A day and a minute from now is less than a day two minutes later.
    let expires = world.clock.now() + TimeDelta::hours(24) + TimeDelta::minutes(1);
    body["expiresAt"] = json!(expires.to_rfc3339());
    keyed.send("document", body.clone()).await.data(202);
    let (job, ..) = jobs(&world).await.remove(0);
    let first = job.file.expect("its file");
    world.remove_item(&keys::message(instance, job.message)).await;
    world.clock.advance(TimeDelta::minutes(2));
    keyed.send("document", body).await.data(202);
    let retried = format!("outgoing/taken/{instance}/{}", job.message);
    assert_eq!(objects(&world), [first.to_string(), retried]);
    let bucket = &world.states.messaging.bucket;
    assert_eq!(stored(bucket, &first).await.as_deref(), Some(&b"%PDF-"[..]));
}

#[tokio::test]
async fn while_the_bucket_is_away_nothing_is_counted_or_kept() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let without = world
        .over_bucket(world.bucket_at("http://127.0.0.1:9"), |config| config)
        .with_token(key.token());
    let inline = json!({"to": TO, "base64": STANDARD.encode(bytes(MAX_INLINE))});
    for (kind, body) in [("voice", inline.clone()), ("document", by_id(&id))] {
        let refused = without.send(kind, body.clone()).await;
        assert_eq!(refused.code(), "503 UNAVAILABLE");
        assert!(!refused.header("retry-after").is_empty());
        assert!(!is_taken(&world, instance, &id).await, "it can be sent again");
        let keyed = without.with_header("idempotency-key", kind);
        assert_eq!(keyed.send(kind, body).await.code(), "503 UNAVAILABLE");
    }
    assert_eq!(counted(&world, &user).await, 0);
    let records = world.state.messages.list(instance, None, 10).await.expect("read");
    assert_eq!(records, []);
    assert_eq!(jobs(&world).await.len(), 0);
    assert!(is_taken(&world, instance, &id).await, "the retry goes on with it");
    // What needs no bucket goes on.
    without
        .send("text", json!({"to": TO, "text": "hello"}))
        .await
        .data(202);
    // It is back: the same requests go on under their keys.
    for (kind, body) in [("voice", inline), ("document", by_id(&id))] {
        let keyed = key.with_header("idempotency-key", kind);
        keyed.send(kind, body).await.data(202);
    }
}
