//! `scheduledAt`: what is stored of a message that is due later, and what a caller is told.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::content::Content;
use shared::domain::job::{Job, Query};
use shared::domain::message::{Change, MessageRecord, State};
use shared::domain::network::Network;
use shared::domain::payload;
use shared::domain::shard::{Shard, lane};
use shared::ids::InstanceId;
use shared::sealed;
use shared::storage::keys;
use shared::storage::schedule::{Entry, Schedule};
use testbed::relay::Fate;

use crate::support::{Answer, Caller, User, World};

const TO: &str = "15550100002";

async fn send(key: &Caller, at: DateTime<Utc>) -> Answer {
    let body = json!({"to": TO, "text": "Good morning", "scheduledAt": at.to_rfc3339()});
    key.send("text", body).await
}

async fn send_once(key: &Caller, idempotency_key: &str, at: DateTime<Utc>) -> Answer {
    let key = key.with_header("idempotency-key", idempotency_key);
    send(&key, at).await
}

/// All that is scheduled, by its time.
pub async fn entries(world: &World) -> Vec<Entry> {
    let schedule = Schedule::new(world.table.clone());
    let end = world.clock.now() + TimeDelta::days(60);
    let due = schedule.due(Network::Sandbox, Shard(0), end, 100).await;
    let found = due.expect("read");
    found
        .into_iter()
        .map(|found| found.entry.expect("sound"))
        .collect()
}

async fn records(world: &World, instance: InstanceId) -> Vec<MessageRecord> {
    world.state.messages.list(instance, None, 10).await.expect("read")
}

async fn counted(world: &World, user: &User) -> u32 {
    let subscription = user.subscription.parse().expect("an id");
    let counters = &world.state.counters;
    let counted = counters.get_used_of_quota(subscription, world.clock.now()).await;
    counted.expect("read").0
}

async fn depth(world: &World) -> u64 {
    let sends = world.queue_names().sends(0);
    let depth = world.state.queue.depth(&sends).await.expect("answered");
    depth.visible + depth.in_flight + depth.delayed
}

/// The times that the shard's owner was told of.
pub async fn reminders(world: &World) -> Vec<DateTime<Utc>> {
    let waiting = world.waiting(&world.queue_names().queries(0)).await;
    let queries = waiting
        .iter()
        .map(|received| payload::decode::<Query>(&received.body));
    let times = queries.filter_map(|query| match query.expect("ours") {
        Query::Due { at } => Some(at),
        _ => None,
    });
    times.collect()
}

#[tokio::test]
async fn a_message_for_later_is_an_entry_and_a_record_and_no_job() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let at = world.clock.now() + TimeDelta::days(7);
    let body = json!({
        "to": TO, "text": "Good morning", "scheduledAt": "2026-01-08T01:00:00+01:00", "reference": "order-42",
    });
    let accepted = key.send("text", body).await.data(202);
    let id = accepted["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        accepted,
        json!({
            "id": id,
            "status": "scheduled",
            "to": {"phone": TO, "lid": null, "group": null},
            "kind": "text",
            "createdAt": "2026-01-01T00:00:00.000Z",
        })
    );
    assert_eq!(depth(&world).await, 0);
    assert_eq!(counted(&world, &user).await, 1, "it counts when it is accepted");

    let entries = entries(&world).await;
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!((entry.at, entry.message.to_string()), (at, id.clone()));
    let subscription = entry.subscription.expect("whose quota");
    assert_eq!(subscription.to_string(), user.subscription);
    let queued = entry.job.as_ref().expect("a job");
    assert!(!queued.body.contains("morning"), "what it says rests sealed");
    let Job::Send(job) = payload::decode(&queued.body).expect("ours");
    assert_eq!(queued.group, lane(instance, &job.to));
    assert_eq!(
        (job.scheduled_at, job.expires_at),
        (Some(at), at + TimeDelta::hours(24))
    );
    assert_eq!(job.accepted_at, world.clock.now());
    let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
    let content: Content = opening.await.expect("opens");
    assert_eq!(content, Content::text("Good morning"));

    let record = records(&world, instance).await.remove(0);
    assert_eq!((record.state, record.scheduled_at), (State::Scheduled, Some(at)));
    let shown = key.get(&format!("/api/messages/{id}")).await.data(200);
    assert_eq!(shown["status"], "scheduled");
    assert_eq!(shown["scheduledAt"], "2026-01-08T00:00:00.000Z");
    assert_eq!(shown["reference"], "order-42");
}

#[tokio::test]
async fn the_owner_of_the_shard_is_told_of_what_is_due_soon() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    // Pairing has nudged it.
    world.waiting(&world.queue_names().queries(0)).await;
    let now = world.clock.now();
    send(&key, now + TimeDelta::minutes(10)).await.data(202);
    assert!(
        reminders(&world).await.is_empty(),
        "it looks by itself once a minute"
    );
    let soon = now + TimeDelta::minutes(1);
    send(&key, soon).await.data(202);
    assert_eq!(reminders(&world).await, [soon]);
}

#[tokio::test]
async fn what_is_wrong_with_a_time_is_told() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let told = async |options: Value| {
        let mut body = json!({"to": TO, "text": "x"});
        for (name, value) in options.as_object().expect("members") {
            body[name] = value.clone();
        }
        key.send("text", body).await
    };
    for at in [
        "2026-01-01T00:00:00Z",
        "2025-12-31T23:59:59Z",
        "2026-01-31T00:00:00.001Z",
        "2026-01-08",
        "tomorrow",
    ] {
        assert_eq!(
            told(json!({"scheduledAt": at})).await.error(),
            "400 VALIDATION_ERROR: `scheduledAt` must be an RFC 3339 time in the future, within 30 days",
            "{at}"
        );
    }
    for until in [
        "2026-01-08T00:00:00Z",
        "2026-01-02T00:00:00Z",
        "2026-01-11T00:00:01Z",
    ] {
        assert_eq!(
            told(json!({"scheduledAt": "2026-01-08T00:00:00Z", "expiresAt": until}))
                .await
                .error(),
            "400 VALIDATION_ERROR: `expiresAt` must be an RFC 3339 time after `scheduledAt`, within 3 days of it",
            "{until}"
        );
    }
    assert_eq!(
        told(json!({"scheduledAt": 5})).await.error(),
        "400 VALIDATION_ERROR: `scheduledAt` must be a string"
    );
    told(json!({"scheduledAt": "2026-01-31T00:00:00Z", "expiresAt": "2026-02-03T00:00:00Z"}))
        .await
        .data(202);
    let entry = entries(&world).await.remove(0);
    assert_eq!(entry.expires_at - entry.at, TimeDelta::days(3));
    let at_once = told(json!({"scheduledAt": null})).await.data(202);
    assert_eq!(at_once["status"], "queued");
}

#[tokio::test]
async fn a_repeated_request_is_answered_like_the_first_before_and_after_its_time() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let at = world.clock.now() + TimeDelta::hours(2);
    let first = send_once(&key, "order-42", at).await.data(202);
    let again = send_once(&key, "order-42", at).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(202), first);
    assert_eq!(entries(&world).await.len(), 1);
    assert_eq!(counted(&world, &user).await, 1, "counted once");
    let other = send_once(&key, "order-42", at + TimeDelta::seconds(1)).await;
    assert_eq!(other.code(), "409 IDEMPOTENCY_CONFLICT");

    // A daemon hands it over and sends it.
    let entry = entries(&world).await.remove(0);
    world.clock.advance(TimeDelta::hours(3));
    let schedule = Schedule::new(world.table.clone());
    let place = keys::due(Network::Sandbox, Shard(0), entry.at, entry.message);
    schedule.remove(&place).await.expect("removed");
    for state in [State::Queued, State::Sent] {
        let change = Change {
            state,
            at: world.clock.now(),
            failure: None,
        };
        let messages = &world.state.messages;
        let changed = messages.change(instance, entry.message, &change).await;
        changed.expect("stored");
        assert_eq!(send_once(&key, "order-42", at).await.data(202), first, "{state}");
    }
    assert_eq!(entries(&world).await, []);
    assert_eq!(depth(&world).await, 0, "its job is the daemon's to queue");
}

#[tokio::test]
async fn a_day_has_room_for_so_many() {
    let world = World::with(|mut config| {
        config.messaging.schedule_limit = 2;
        config
    })
    .await;
    let (user, instance, key) = world.ready().await;
    let at = world.clock.now() + TimeDelta::days(1);
    for minutes in [0, 600] {
        send(&key, at + TimeDelta::minutes(minutes)).await.data(202);
    }
    let refused = send(&key, at + TimeDelta::minutes(1_439)).await;
    assert_eq!(
        refused.error(),
        "429 QUEUE_FULL: The instance has scheduled 2 messages for 2026-01-02 (UTC), with those taken back, and may schedule no \
         more for it: choose another day"
    );
    let details = json!({"limit": 2, "waiting": 2, "scope": "schedule", "day": "2026-01-02"});
    assert_eq!(refused.json()["error"]["details"], details);
    assert_eq!(refused.header("retry-after"), "172800");
    assert_eq!(
        counted(&world, &user).await,
        2,
        "a refused message counts for nothing"
    );
    assert_eq!(records(&world, instance).await.len(), 2);
    // Another day has room of its own.
    send(&key, at + TimeDelta::days(1)).await.data(202);
    // A message that is refused for the quota takes no room of its day.
    let subscription = user.subscription.parse().expect("an id");
    let month = keys::month(subscription, world.clock.now());
    let full = aws_sdk_dynamodb::types::AttributeValue::N("10000".into());
    world.set(&month, "messages", full).await;
    let late = at + TimeDelta::days(2);
    assert_eq!(send(&key, late).await.code(), "403 QUOTA_EXCEEDED");
    let of_day = world
        .item(&keys::scheduled_for(instance, late))
        .await
        .expect("counted");
    assert_eq!(of_day["messages"].as_n().expect("a number"), "0");
}

#[tokio::test]
async fn what_is_due_next_week_does_not_count_as_waiting() {
    let world = World::with(|mut config| {
        config.messaging.queue_limit = 1;
        config
    })
    .await;
    let (_, _, key) = world.ready().await;
    for days in 1..4 {
        send(&key, world.clock.now() + TimeDelta::days(days))
            .await
            .data(202);
    }
    let now = || json!({"to": TO, "text": "now"});
    key.send("text", now()).await.data(202);
    assert_eq!(key.send("text", now()).await.code(), "429 QUEUE_FULL");
    // Nor does a full queue of today keep a message of next week out.
    send(&key, world.clock.now() + TimeDelta::days(9)).await.data(202);
}

#[tokio::test]
async fn without_a_key_a_message_whose_entry_is_in_doubt_is_taken_back() {
    for fate in [Fate::FAILED, Fate::LOST] {
        let world = World::faulty(1).await;
        let (user, instance, key) = world.ready().await;
        let faults = world.faults.as_ref().expect("a faulty table");
        faults.plan("PutItem", "due#", [fate; 3]);
        let at = world.clock.now() + TimeDelta::days(1);
        assert_eq!(send(&key, at).await.status, 503);
        assert!(faults.is_done());
        let records = records(&world, instance).await;
        // Whoever comes upon the entry reads this first, and does not send it.
        assert_eq!(records[0].state, State::Failed);
        assert_eq!(records[0].failure.as_ref().expect("why").code, "NOT_ACCEPTED");
        assert_eq!(counted(&world, &user).await, 0);
        let of_day = world
            .item(&keys::scheduled_for(instance, at))
            .await
            .expect("counted");
        assert_eq!(of_day["messages"].as_n().expect("a number"), "0");
    }
}

#[tokio::test]
async fn with_a_key_a_retry_puts_the_entry_that_is_missing() {
    for fate in [Fate::FAILED, Fate::LOST] {
        let world = World::faulty(1).await;
        let (user, instance, key) = world.ready().await;
        let faults = world.faults.as_ref().expect("a faulty table");
        faults.plan("PutItem", "due#", [fate; 3]);
        let at = world.clock.now() + TimeDelta::days(1);
        assert_eq!(send_once(&key, "order-42", at).await.status, 503);
        assert!(faults.is_done());
        let accepted = send_once(&key, "order-42", at).await.data(202);
        let entries = entries(&world).await;
        assert_eq!(entries.len(), 1);
        assert_eq!(json!(entries[0].message), accepted["id"]);
        let records = records(&world, instance).await;
        assert_eq!((records.len(), records[0].state), (1, State::Scheduled));
        assert_eq!(counted(&world, &user).await, 1, "counted once");
    }
}

#[tokio::test]
async fn a_message_whose_record_is_in_doubt_has_no_entry() {
    for fate in [Fate::FAILED, Fate::LOST] {
        let world = World::faulty(1).await;
        let (user, _, key) = world.ready().await;
        let faults = world.faults.as_ref().expect("a faulty table");
        faults.plan("PutItem", "msgs#", [fate; 3]);
        let at = world.clock.now() + TimeDelta::days(1);
        assert_eq!(send_once(&key, "order-42", at).await.status, 503);
        assert!(faults.is_done());
        assert_eq!(entries(&world).await, []);
        assert_eq!(counted(&world, &user).await, 0);
        // The key is free.
        send_once(&key, "order-42", at).await.data(202);
        assert_eq!(entries(&world).await.len(), 1);
        assert_eq!(counted(&world, &user).await, 1);
    }
}

#[tokio::test]
async fn a_message_that_waits_long_after_its_time_reads_expired() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let at = world.clock.now() + TimeDelta::days(1);
    let accepted = send(&key, at).await.data(202);
    let path = format!("/api/messages/{}", accepted["id"].as_str().expect("an id"));
    world.clock.advance(TimeDelta::days(2));
    assert_eq!(key.get(&path).await.data(200)["status"], "scheduled");
    world.clock.advance(TimeDelta::minutes(61));
    assert_eq!(key.get(&path).await.data(200)["status"], "expired");
    assert_eq!(records(&world, instance).await[0].state, State::Scheduled);
}
