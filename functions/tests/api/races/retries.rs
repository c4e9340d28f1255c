//! Requests under one idempotency key that are at work at the same time. A file may take longer on its way into the bucket than its
//! caller waits, who asks again then.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::message::{MessageRecord, State};
use shared::domain::network::Network;
use shared::domain::shard::Shard;
use shared::ids::InstanceId;
use shared::storage::keys;
use shared::storage::schedule::Schedule;
use testbed::relay::Fate;
use testbed::wait::until;
use tokio::task::JoinHandle;

use crate::flaky_queue::Send;
use crate::slow_bucket::{HeldPut, SlowBucket};
use crate::support::{Answer, Caller, User, World};

const SEED: u64 = 1;

/// A deployment whose bucket is slow, and a request for it with a file.
struct Setting {
    world: World,
    bucket: SlowBucket,
    user: User,
    instance: InstanceId,
    key: Caller,
    body: Value,
    /// When the message is due, where that is later.
    due: Option<DateTime<Utc>>,
}

impl Setting {
    async fn new(is_later: bool) -> Self {
        let world = World::faulty(SEED).await;
        let (user, instance, key) = world.ready().await;
        let bucket = SlowBucket::start().await;
        let slow = world.over_bucket(world.bucket_at(bucket.endpoint()), |mut config| {
            // A test may hold a send.
            config.messaging.queue_answer = Duration::from_secs(20);
            config
        });
        let key = slow
            .with_token(key.token())
            .with_header("idempotency-key", "order-42");
        let mut body = json!({"to": "15550100002", "base64": STANDARD.encode(vec![7; 10_000])});
        let due = is_later.then(|| world.clock.now() + TimeDelta::days(2));
        if let Some(due) = due {
            body["scheduledAt"] = json!(due.to_rfc3339());
        }
        Self {
            world,
            bucket,
            user,
            instance,
            key,
            body,
            due,
        }
    }

    fn ask(&self) -> JoinHandle<Answer> {
        let (key, body) = (self.key.clone(), self.body.clone());
        tokio::spawn(async move { key.send("document", body).await })
    }

    /// Asks, and waits until the file is on its way.
    async fn ask_until_put(&mut self) -> (JoinHandle<Answer>, HeldPut) {
        let asked = self.ask();
        (asked, self.bucket.arrived().await)
    }

    /// Asks again, past the time for which a request waits for one before it.
    async fn retry_until_put(&mut self) -> (JoinHandle<Answer>, HeldPut) {
        self.world.clock.advance(TimeDelta::seconds(6));
        self.ask_until_put().await
    }

    /// How many messages are counted: for the month, and as waiting or for the day on which they are due.
    async fn counted(&self) -> (u64, u64) {
        let (counters, now) = (&self.world.state.counters, self.world.clock.now());
        let subscription = self.user.subscription.parse().expect("an id");
        let used = counters.get_used_of_quota(subscription, now).await;
        let begun = counters.begun_this_month(subscription, self.instance, now);
        let mut places = begun.await.expect("read");
        if let Some(due) = self.due {
            assert_eq!(places, 0, "it does not wait yet");
            let item = self.world.item(&keys::scheduled_for(self.instance, due)).await;
            let messages = item.and_then(|item| item["messages"].as_n().ok().cloned());
            places = messages.map_or(0, |messages| messages.parse().expect("a number"));
        }
        (used.expect("read").0.into(), places)
    }

    async fn until_recorded(&self) {
        until("its record", async || {
            let records = self.world.state.messages.list(self.instance, None, 1).await;
            records.expect("read").pop()
        })
        .await;
    }

    async fn record(&self) -> MessageRecord {
        let records = self.world.state.messages.list(self.instance, None, 10).await;
        let mut records = records.expect("read");
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    /// The message was accepted once: it has one count, one job or entry, and a record that says that it waits. Whoever asks again
    /// is told of it.
    async fn expect_accepted_once(mut self, id: &Value) {
        assert_eq!(self.counted().await, (1, 1));
        let record = self.record().await;
        assert_eq!(json!(record.id), *id);
        let waits = if self.due.is_some() {
            State::Scheduled
        } else {
            State::Queued
        };
        assert_eq!(record.state, waits);
        let jobs = self.world.waiting(&self.world.queue_names().sends(0)).await;
        let schedule = Schedule::new(self.world.table.clone());
        let end = self.world.clock.now() + TimeDelta::days(60);
        let entries = schedule
            .due(Network::Sandbox, Shard(0), end, 10)
            .await
            .expect("read");
        let wanted = if self.due.is_some() { (0, 1) } else { (1, 0) };
        assert_eq!((jobs.len(), entries.len()), wanted);
        let (again, put) = self.ask_until_put().await;
        drop(put);
        let again = again.await.expect("answered");
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.data(202)["id"], *id);
        assert_eq!(self.counted().await, (1, 1));
    }
}

async fn id(asked: JoinHandle<Answer>) -> Value {
    asked.await.expect("answered").data(202)["id"].clone()
}

#[tokio::test]
async fn a_retry_while_the_file_is_on_its_way_counts_once_whichever_ends_first() {
    for is_later in [false, true] {
        for does_retry_end_first in [false, true] {
            let mut setting = Setting::new(is_later).await;
            let (mut first, mut put) = setting.ask_until_put().await;
            let (mut retry, mut other_put) = setting.retry_until_put().await;
            assert_eq!(setting.counted().await, (0, 0));
            if does_retry_end_first {
                std::mem::swap(&mut first, &mut retry);
                std::mem::swap(&mut put, &mut other_put);
            }
            drop(put);
            let message = id(first).await;
            assert_eq!(setting.counted().await, (1, 1));
            drop(other_put);
            assert_eq!(id(retry).await, message);
            setting.expect_accepted_once(&message).await;
        }
    }
}

#[tokio::test]
async fn both_at_once_count_once() {
    for is_later in [false, true] {
        let mut setting = Setting::new(is_later).await;
        let (first, put) = setting.ask_until_put().await;
        let (retry, other_put) = setting.retry_until_put().await;
        drop((put, other_put));
        let message = id(first).await;
        assert_eq!(id(retry).await, message);
        setting.expect_accepted_once(&message).await;
    }
}

/// As where a process ends: the first request never goes on. What it has counted by then is one too many at most.
#[tokio::test]
async fn a_first_request_that_is_cut_short_counts_one_too_many_at_most() {
    // Before it has counted.
    let mut setting = Setting::new(false).await;
    let (first, put) = setting.ask_until_put().await;
    let (retry, other_put) = setting.retry_until_put().await;
    drop(other_put);
    let message = id(retry).await;
    assert_eq!(setting.counted().await, (1, 1));
    drop(put);
    assert_eq!(id(first).await, message, "it was only slow");
    setting.expect_accepted_once(&message).await;

    // After it has counted, before anything else.
    let mut setting = Setting::new(false).await;
    let (first, put) = setting.ask_until_put().await;
    let faults = setting.world.faults.as_ref().expect("faults");
    faults.plan("PutItem", "msgs#", [Fate::FAILED; 3]);
    let held = setting.world.queue.hold_send();
    drop(put);
    let held = held.await.expect("sent");
    until_done(&setting.world).await;
    let (retry, other_put) = setting.retry_until_put().await;
    drop(other_put);
    let message = id(retry).await;
    assert_eq!(setting.counted().await, (2, 2), "nobody knows that it has ended");
    held.release(None);
    assert_eq!(id(first).await, message, "it was only slow");
    setting.expect_accepted_once(&message).await;

    // After it has stored the record.
    let mut setting = Setting::new(false).await;
    let (first, put) = setting.ask_until_put().await;
    let held = setting.world.queue.hold_send();
    drop(put);
    let held = held.await.expect("sent");
    setting.until_recorded().await;
    let (retry, other_put) = setting.retry_until_put().await;
    drop(other_put);
    let message = id(retry).await;
    assert_eq!(setting.counted().await, (1, 1));
    held.release(None);
    assert_eq!(id(first).await, message);
    setting.expect_accepted_once(&message).await;
}

async fn until_done(world: &World) {
    let faults = world.faults.as_ref().expect("faults");
    until("what was planned", async || faults.is_done().then_some(())).await;
}

/// The table is away just when the first request stores its record, and its message is certainly not accepted by it. Its retry was
/// accepted while the file was on its way.
#[tokio::test]
async fn what_a_first_request_undoes_is_not_its_retrys() {
    for is_later in [false, true] {
        let mut setting = Setting::new(is_later).await;
        let (first, put) = setting.ask_until_put().await;
        let (retry, other_put) = setting.retry_until_put().await;
        drop(other_put);
        let message = id(retry).await;
        let faults = setting.world.faults.as_ref().expect("faults");
        faults.plan("PutItem", "countedBy", [Fate::FAILED; 3]);
        setting.world.queue.next_sends([Send::NoQueue]);
        drop(put);
        let refused = first.await.expect("answered");
        assert_eq!(refused.code(), "503 UNAVAILABLE");
        until_done(&setting.world).await;
        setting.world.queue.next_sends([]);
        setting.expect_accepted_once(&message).await;
    }
}

/// The same where the record is the first request's, and its retry goes by it.
#[tokio::test]
async fn what_a_retry_was_accepted_by_is_not_undone() {
    let mut setting = Setting::new(false).await;
    let (first, put) = setting.ask_until_put().await;
    // Beside it, so that neither has seen the other's record when it counts.
    let (beside, beside_put) = setting.retry_until_put().await;
    let held = setting.world.queue.hold_send();
    drop(put);
    let held = held.await.expect("sent");
    setting.until_recorded().await;
    drop(beside_put);
    let message = id(beside).await;
    assert_eq!(setting.counted().await, (1, 1), "by the first one's count");
    held.release(Some(Send::NoQueue));
    assert_eq!(first.await.expect("answered").status, 503);
    setting.expect_accepted_once(&message).await;

    // One that finds the record when it begins.
    let mut setting = Setting::new(false).await;
    let (first, put) = setting.ask_until_put().await;
    let held = setting.world.queue.hold_send();
    drop(put);
    let held = held.await.expect("sent");
    setting.until_recorded().await;
    let (retry, other_put) = setting.ask_until_put().await;
    drop(other_put);
    let retry = retry.await.expect("answered");
    assert_eq!(retry.header("idempotency-replayed"), "true");
    let message = retry.data(202)["id"].clone();
    held.release(Some(Send::NoQueue));
    assert_eq!(first.await.expect("answered").status, 503);
    setting.expect_accepted_once(&message).await;
}

/// The first request has taken the month's last place, and its retry finds none. It is not told that the month is used up.
#[tokio::test]
async fn the_months_last_message_is_not_refused_beside_itself() {
    let mut setting = Setting::new(false).await;
    let subscription = setting.user.subscription.parse().expect("an id");
    let month = keys::month(subscription, setting.world.clock.now());
    let used = AttributeValue::N("9999".to_owned());
    setting.world.set(&month, "messages", used).await;
    let (first, put) = setting.ask_until_put().await;
    let (retry, other_put) = setting.retry_until_put().await;
    drop(put);
    let message = id(first).await;
    drop(other_put);
    let told = retry.await.expect("answered");
    assert_eq!(
        (told.code(), told.header("retry-after")),
        ("503 UNAVAILABLE".to_owned(), "1")
    );
    let (again, put) = setting.ask_until_put().await;
    drop(put);
    assert_eq!(id(again).await, message);
    setting.key = setting.key.with_header("idempotency-key", "order-43");
    let (another, put) = setting.ask_until_put().await;
    drop(put);
    assert_eq!(another.await.expect("answered").code(), "403 QUOTA_EXCEEDED");
    assert_eq!(setting.counted().await.0, 10_000);
}

/// Its message was taken back, and nobody is told that it is accepted.
#[tokio::test]
async fn a_key_that_could_not_be_freed_is_free_after_the_next_request() {
    let world = World::faulty(SEED).await;
    let (user, _, key) = world.ready().await;
    let key = key.with_header("idempotency-key", "order-42");
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("DeleteItem", "idem#", [Fate::FAILED; 3]);
    world.queue.next_sends([Send::NoQueue]);
    let body = json!({"to": "15550100002", "text": "x"});
    assert_eq!(key.send("text", &body).await.code(), "503 UNAVAILABLE");
    assert!(faults.is_done());
    let told = key.send("text", &body).await;
    assert_eq!(
        (told.code(), told.header("retry-after")),
        ("503 UNAVAILABLE".to_owned(), "1")
    );
    let accepted = key.send("text", &body).await;
    assert_eq!(accepted.header("idempotency-replayed"), "");
    let id = accepted.data(202)["id"].clone();
    assert_eq!(key.send("text", &body).await.data(202)["id"], id);
    let subscription = user.subscription.parse().expect("an id");
    let counted = world
        .state
        .counters
        .get_used_of_quota(subscription, world.clock.now())
        .await;
    assert_eq!(counted.expect("read").0, 1);
}
