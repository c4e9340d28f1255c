//! What a caller is told, and what stays, where table or queue fail while a message is accepted.

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::job::{Job, SendJob};
use shared::domain::message::{Failure, FailureCode, MessageRecord, State};
use shared::domain::payload;
use shared::ids::InstanceId;
use shared::storage::messages::{Change, Withdrawn};
use testbed::relay::Fate;

use crate::flaky_queue::Send;
use crate::support::{Answer, Caller, User, World};

async fn send(key: &Caller) -> Answer {
    let body = json!({"to": "15550100002", "text": "x"});
    key.send("text", body).await
}

async fn send_once(key: &Caller, idempotency_key: &str) -> Answer {
    let key = key.with_header("idempotency-key", idempotency_key);
    send(&key).await
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

async fn jobs(world: &World) -> Vec<SendJob> {
    let waiting = world.waiting(&world.queue_names().sends(0)).await;
    let jobs = waiting
        .iter()
        .map(|received| payload::decode::<Job>(&received.body));
    jobs.map(|job| match job.expect("ours") {
        Job::Send(job) => job,
    })
    .collect()
}

#[tokio::test]
async fn a_send_that_is_not_answered_is_repeated_and_makes_one_job() {
    for fates in [
        [Send::Away, Send::Away],
        [Send::Lost, Send::Away],
        [Send::Lost, Send::Lost],
    ] {
        let world = World::new().await;
        let (user, instance, key) = world.ready().await;
        world.queue.next_sends(fates);
        send(&key).await.data(202);
        assert_eq!(jobs(&world).await.len(), 1, "{fates:?}");
        assert_eq!(records(&world, instance).await[0].state, State::Queued);
        assert_eq!(counted(&world, &user).await, 1);
    }
}

#[tokio::test]
async fn a_message_whose_record_cannot_be_written_is_accepted_for_its_job() {
    let world = World::faulty(1).await;
    let (user, instance, key) = world.ready().await;
    let faults = world.faults.as_ref().expect("a faulty table");
    faults.plan("PutItem", "msgs#", [Fate::FAILED; 3]);
    let accepted = send(&key).await.data(202);
    assert!(faults.is_done());
    assert!(records(&world, instance).await.is_empty());
    let jobs = jobs(&world).await;
    assert_eq!(json!(jobs[0].message), accepted["id"]);
    assert_eq!(counted(&world, &user).await, 1);
    // As the daemon does with a job that has no record.
    let record = jobs[0].record();
    world.state.messages.put(&record).await.expect("stored");
    let path = format!("/api/messages/{}", record.id);
    assert_eq!(key.get(&path).await.data(200)["to"], accepted["to"]);
}

#[tokio::test]
async fn without_a_key_a_message_of_which_nobody_knows_is_taken_back() {
    for fate in [Send::Away, Send::Lost] {
        let world = World::new().await;
        let (user, instance, key) = world.ready().await;
        world.queue.every_send(Some(fate));
        assert_eq!(send(&key).await.status, 503);
        let records = records(&world, instance).await;
        assert_eq!(records.len(), 1);
        // A daemon that comes upon the job reads this first, and does not send it.
        assert!(records[0].state.is_past_sending(), "{fate:?}");
        assert_eq!(records[0].state, State::Failed);
        let failure = records[0].failure.as_ref().expect("why");
        assert_eq!(
            (failure.code.as_str(), failure.retryable),
            ("NOT_ACCEPTED", false)
        );
        assert_eq!(counted(&world, &user).await, 0, "{fate:?}");
    }
}

#[tokio::test]
async fn a_message_that_a_daemon_has_sent_cannot_be_taken_back() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let accepted = send(&key).await.data(202);
    let record = records(&world, instance).await.remove(0);
    assert_eq!(json!(record.id), accepted["id"]);
    let messages = &world.state.messages;
    let change = Change {
        state: State::Sent,
        at: world.clock.now(),
        failure: None,
    };
    messages
        .change(instance, record.id, &change)
        .await
        .expect("stored");
    let failure = Failure::of(FailureCode::NotAccepted);
    let withdrawn = messages.withdraw(&record, &failure).await;
    assert_eq!(withdrawn.expect("stored"), Withdrawn::TooLate);
    assert_eq!(records(&world, instance).await[0].state, State::Sent);
}

#[tokio::test]
async fn with_a_key_a_retry_finds_the_message_of_which_nobody_knows_and_goes_on() {
    for fate in [Send::Away, Send::Lost] {
        let world = World::new().await;
        let (user, instance, key) = world.ready().await;
        world.queue.every_send(Some(fate));
        for _ in 0..2 {
            let refused = send_once(&key, "order-1").await;
            assert_eq!(refused.status, 503);
            assert_eq!(refused.header("retry-after"), "2");
        }
        world.queue.every_send(None);
        let accepted = send_once(&key, "order-1").await.data(202);
        let records = records(&world, instance).await;
        assert_eq!(records.len(), 1);
        assert_eq!(json!(records[0].id), accepted["id"]);
        assert_eq!(records[0].state, State::Queued);
        assert_eq!(jobs(&world).await.len(), 1, "{fate:?}");
        assert_eq!(counted(&world, &user).await, 1, "{fate:?}");
    }
}

#[tokio::test]
async fn a_message_of_which_nobody_knows_and_nobody_asks_again_ends_with_its_time() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    world.queue.every_send(Some(Send::Away));
    assert_eq!(send_once(&key, "order-1").await.status, 503);
    let id = records(&world, instance).await[0].id;
    let path = format!("/api/messages/{id}");
    let log = format!("/api/instances/{instance}/messages");
    world.clock.advance(TimeDelta::hours(25));
    assert_eq!(key.get(&path).await.data(200)["status"], "queued");
    world.clock.advance(TimeDelta::seconds(1));
    let shown = key.get(&path).await.data(200);
    assert_eq!(shown["status"], "expired");
    assert_eq!(shown["error"]["code"], "EXPIRED");
    assert_eq!(shown["updatedAt"], "2026-01-02T00:00:00.000Z");
    let user = world.nobody.login("ada@example.com").await;
    assert_eq!(user.get(&log).await.data(200)[0]["status"], "expired");
}

#[tokio::test]
async fn of_a_message_that_is_certainly_not_in_the_queue_nothing_stays() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    world.queue.every_send(Some(Send::NoQueue));
    assert_eq!(send_once(&key, "order-1").await.status, 503);
    assert_eq!(counted(&world, &user).await, 0);
    let first = records(&world, instance).await.remove(0);
    assert_eq!(first.state, State::Failed);
    // The key is as if it had not come.
    world.queue.every_send(None);
    let accepted = send_once(&key, "order-1").await;
    assert_eq!(accepted.header("idempotency-replayed"), "");
    assert_ne!(accepted.data(202)["id"], json!(first.id));
    assert_eq!(counted(&world, &user).await, 1);
    assert_eq!(jobs(&world).await.len(), 1);
}

#[tokio::test]
async fn nothing_is_counted_of_a_message_whose_content_cannot_be_sealed() {
    let world = World::faulty(1).await;
    let (user, instance, key) = world.ready().await;
    let faults = world.faults.as_ref().expect("a faulty table");
    faults.plan("GetItem", "dek#content", [Fate::FAILED; 3]);
    assert_eq!(send(&key).await.status, 503);
    assert!(faults.is_done());
    assert_eq!(counted(&world, &user).await, 0);
    assert!(records(&world, instance).await.is_empty());
    send(&key).await.data(202);
}
