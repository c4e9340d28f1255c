//! `Idempotency-Key`.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use shared::clock::Clock;
use shared::domain::instance::Status;
use shared::storage::keys;

use crate::support::{Answer, Caller, World};

/// Sends a text under an idempotency key.
async fn send(caller: &Caller, key: &str, text: &str) -> Answer {
    let body = json!({"to": "15550100002", "text": text});
    send_body(caller, key, body.to_string()).await
}

async fn send_body(caller: &Caller, key: &str, body: String) -> Answer {
    caller
        .with_header("idempotency-key", key)
        .send("text", body)
        .await
}

#[tokio::test]
async fn the_same_request_is_answered_and_not_done_again() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let first = send(&key, "order-42", "x").await;
    assert_eq!(first.header("idempotency-replayed"), "");
    // What became of the instance since does not change the first answer.
    world.daemon.observe(instance, Status::LoggedOut).await;
    let second = send(&key, "order-42", "x").await;
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(second.data(202), first.data(202));
    assert_eq!(world.waiting(&world.queue_names().sends(0)).await.len(), 1);
    let other = send(&key, "order-42", "y").await;
    assert_eq!(
        other.error(),
        "409 IDEMPOTENCY_CONFLICT: The idempotency key came with another request before"
    );
}

#[tokio::test]
async fn what_is_asked_counts_and_not_how_it_is_written() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let send = async |body: &str| send_body(&key, "order-42", body.to_owned()).await;
    let first = r#"{"to":"15550100002","text":"x\u00e4","expiresAt":"2026-01-02T00:00:00Z","reference":"r"}"#;
    let first = send(first).await.data(202);
    for same in [
        r#"{"reference":"r","expiresAt":"2026-01-02T00:00:00Z","text":"x\u00e4","to":"15550100002"}"#,
        "{ \"to\": \"+15550100002\", \"text\": \"xä\",\n\"expiresAt\": \"2026-01-02T01:00:00+01:00\", \"reference\": \"r\" }",
        r#"{"to":"15550100002@s.whatsapp.net","text":"xä","expiresAt":"2026-01-02T00:00:00.000Z","reference":"r","replyTo":null}"#,
    ] {
        let again = send(same).await;
        assert_eq!(again.header("idempotency-replayed"), "true", "{same}");
        assert_eq!(again.data(202), first);
    }
    for other in [
        r#"{"to":"15550100003","text":"xä","expiresAt":"2026-01-02T00:00:00Z","reference":"r"}"#,
        r#"{"to":"15550100002","text":"xa","expiresAt":"2026-01-02T00:00:00Z","reference":"r"}"#,
        r#"{"to":"15550100002","text":"xä","expiresAt":"2026-01-02T00:00:01Z","reference":"r"}"#,
        r#"{"to":"15550100002","text":"xä","expiresAt":"2026-01-02T00:00:00Z"}"#,
    ] {
        assert_eq!(send(other).await.status, 409, "{other}");
    }
}

#[tokio::test]
async fn builds_that_compare_bytes_and_builds_that_compare_what_is_asked_serve_side_by_side() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let bytes = |text: &str| format!(r#"{{"to":"15550100002","text":"{text}"}}"#);
    let digest = |text: &str| hex::encode(Sha256::digest(format!("text\n{}", bytes(text))));
    let item = |name: &str| keys::idempotency(instance, &hex::encode(Sha256::digest(name))).attributes();
    // As the older build left it.
    let first = send_body(&key, "order-1", bytes("x")).await.data(202);
    let table = &world.state.table;
    let older = table.client().update_item().table_name(table.name());
    let older = older
        .set_key(Some(item("order-1")))
        .update_expression("REMOVE asked");
    older.send().await.expect("stored");
    let again = send_body(&key, "order-1", bytes("x")).await;
    assert_eq!(again.data(202), first);
    assert_eq!(send_body(&key, "order-1", bytes("y")).await.status, 409);
    // What the older build compares by is there.
    send_body(&key, "order-2", bytes("z")).await.data(202);
    let found = world.items().await;
    let stored = item("order-2");
    let text = |name: &str| stored[name].as_s().expect("a text").clone();
    let stored = &found[&(text("pk"), text("sk"))];
    assert_eq!(stored["body"].as_s().expect("a text"), &digest("z"));
}

#[tokio::test]
async fn ten_at_once_are_one_message() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let answers = join_all((0..10).map(|_| send(&key, "order-42", "x"))).await;
    let id = answers[0].data(202)["id"].clone();
    for answer in &answers {
        assert_eq!(answer.data(202)["id"], id);
    }
    assert_eq!(world.waiting(&world.queue_names().sends(0)).await.len(), 1);
    let subscription = user.subscription.parse().expect("an id");
    let counted = world
        .state
        .counters
        .get_used_of_quota(subscription, world.clock.now());
    assert_eq!(counted.await.expect("read").0, 1, "counted once");
}

#[tokio::test]
async fn a_retry_after_the_messages_time_is_answered_like_the_first() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let expires_at = (world.clock.now() + TimeDelta::seconds(10)).to_rfc3339();
    let send = async |idempotency_key| {
        let body = json!({"to": "15550100002", "text": "x", "expiresAt": expires_at}).to_string();
        send_body(&key, idempotency_key, body).await
    };
    let first = send("order-42").await.data(202);
    world.clock.advance(TimeDelta::seconds(10));
    assert_eq!(send("order-42").await.data(202), first);
    for _ in 0..2 {
        let refused = send("order-43").await.error();
        assert!(
            refused.starts_with("400 VALIDATION_ERROR: `expiresAt`"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_run_that_was_cut_short_is_finished_under_the_same_id() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let first = send(&key, "order-42", "x").await.data(202);
    let id = first["id"].as_str().expect("an id").parse().expect("an id");
    // As after a crash between the queue and the record.
    let table = &world.state.table;
    table
        .client()
        .delete_item()
        .table_name(table.name())
        .set_key(Some(keys::message(instance, id).attributes()))
        .send()
        .await
        .expect("deleted");
    let second = send(&key, "order-42", "x").await;
    assert_eq!(second.header("idempotency-replayed"), "");
    assert_eq!(second.data(202)["id"], first["id"]);
    assert!(
        world
            .state
            .messages
            .get(instance, id)
            .await
            .expect("read")
            .is_some()
    );
    assert_eq!(world.waiting(&world.queue_names().sends(0)).await.len(), 1);
}

#[tokio::test]
async fn a_message_that_did_not_reach_the_queue_does_with_the_retry() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    world.queue.fail(true);
    let refused = send(&key, "order-42", "x").await;
    assert_eq!(
        refused.error(),
        "503 UNAVAILABLE: The service cannot do this now; try again later"
    );
    assert_eq!(refused.header("retry-after"), "2");
    world.queue.fail(false);
    let accepted = send(&key, "order-42", "x").await.data(202);
    let id = accepted["id"].as_str().expect("an id").parse().expect("an id");
    let record = world.state.messages.get(instance, id).await.expect("read");
    assert!(record.is_some());
    assert_eq!(world.waiting(&world.queue_names().sends(0)).await.len(), 1);
}

async fn jobs(world: &World) -> u64 {
    let sends = world.queue_names().sends(0);
    let depth = world.state.queue.depth(&sends).await.expect("answered");
    depth.visible + depth.in_flight + depth.delayed
}

/// The queue remembers a job for five minutes, and a caller may repeat its request for a day.
#[tokio::test]
async fn replays_fill_no_queue() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let first = send(&key, "order-42", "x").await.data(202);
    for _ in 0..3 {
        assert_eq!(send(&key, "order-42", "x").await.data(202), first);
    }
    assert_eq!(jobs(&world).await, 1);
    for _ in 0..5 {
        world.clock.advance(TimeDelta::minutes(6));
        let again = send(&key, "order-42", "x").await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.data(202), first);
    }
    // Of the first replay nobody knew whether the first run had come to the queue; of the others the key did.
    assert_eq!(jobs(&world).await, 2);
}

/// As after a crash, or an outage of the queue, between the record and the job.
#[tokio::test]
async fn a_record_without_a_job_gets_one_however_late_the_retry_comes() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    world.queue.fail(true);
    assert_eq!(send(&key, "order-42", "x").await.status, 503);
    world.clock.advance(TimeDelta::hours(1));
    assert_eq!(send(&key, "order-42", "x").await.status, 503);
    world.queue.fail(false);
    assert_eq!(jobs(&world).await, 0);
    for _ in 0..3 {
        send(&key, "order-42", "x").await.data(202);
        assert_eq!(jobs(&world).await, 1);
        world.clock.advance(TimeDelta::hours(1));
    }
}

#[tokio::test]
async fn a_late_replay_waits_for_room_in_its_shard() {
    let world = World::with(|mut config| {
        config.messaging.shard_queue_limit = 2;
        config
    })
    .await;
    let (_, _, key) = world.ready().await;
    let first = send(&key, "order-1", "x").await.data(202);
    send(&key, "order-2", "x").await.data(202);
    // It adds nothing yet, and is answered.
    assert_eq!(send(&key, "order-1", "x").await.data(202), first);
    world.clock.advance(TimeDelta::minutes(6));
    let refused = send(&key, "order-1", "x").await;
    assert_eq!(refused.json()["error"]["code"], json!("QUEUE_FULL"));
    assert_eq!(jobs(&world).await, 2);
    let sends = world.queue_names().sends(0);
    for waiting in world.waiting(&sends).await {
        let deleted = world.state.queue.delete(&sends, &waiting.receipt).await;
        deleted.expect("deleted");
    }
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(send(&key, "order-1", "x").await.data(202), first);
}

#[tokio::test]
async fn a_key_has_its_form() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    assert_eq!(
        send(&key, &"x".repeat(256), "x").await.error(),
        "400 VALIDATION_ERROR: `Idempotency-Key` must be there once, with 1 to 255 printable ASCII characters"
    );
    send(&key, &"x".repeat(255), "x").await.data(202);
}
