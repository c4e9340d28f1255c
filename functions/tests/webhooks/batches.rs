//! Batches as Lambda gives them, and what is answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use futures::stream;
use serde_json::json;
use shared::bucket::{Area, Length, ObjectName};
use shared::domain::delivery::DeliveryState;
use shared::domain::payload;
use shared::ids::DeliveryId;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{Queue as _, QueueError, QueueName, Receipt};
use testbed::queues::{Passing, Through};
use testbed::relay::{Fate, On, Relay};
use testbed::table::patient;
use testbed::wait::{in_time, until};

use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

/// As Lambda writes it (AWS, "Example Amazon SQS FIFO queue message event").
#[test]
fn a_batch_of_lambdas_is_read_and_answered_in_its_words() {
    let text = json!({"Records": [{
        "messageId": "11d6ee51-4cc7-4302-9e22-7cd8afdaadf5",
        "receiptHandle": "AQEBBX8nesZEXmkhsmZeyIE8iQAMig7qw...",
        "body": "hello",
        "attributes": {
            "ApproximateReceiveCount": "3",
            "SentTimestamp": "1573251510774",
            "SequenceNumber": "18849496460467696128",
            "MessageGroupId": "1",
            "SenderId": "AIDAIO23YVJENQZJOL4VO",
            "MessageDeduplicationId": "1",
            "ApproximateFirstReceiveTimestamp": "1573251510774"
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:fifo.fifo",
        "awsRegion": "us-east-2"
    }]});
    let batch: functions::webhook_delivery::batch::Batch = serde_json::from_value(text).expect("a batch");
    let record = &batch.records[0];
    assert_eq!(record.attributes.approximate_receive_count.as_deref(), Some("3"));
    assert_eq!(record.attributes.message_group_id.as_deref(), Some("1"));
    assert_eq!(record.attributes.sent_timestamp.as_deref(), Some("1573251510774"));
    assert!(!format!("{batch:?}").contains("hello"));
}

#[tokio::test]
async fn a_batch_of_another_queue_stays_whole() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    world.tell(&instance, "15550100001", "hello").await;
    let came = world.receive(&world.names.events()).await;
    let failures = world.hand(&world.state, &world.names.sends(0), came).await;
    let answer = serde_json::to_value(&failures).expect("plain data");
    let failed = answer["batchItemFailures"].as_array().expect("a list");
    assert_eq!(failed.len(), 1);
    assert!(failed[0]["itemIdentifier"].is_string());
    assert_eq!(receiver.connections(), 0);
}

/// What is behind a message that stays, in its chat, stays with it and is not tried; other chats go on.
#[tokio::test]
async fn behind_a_message_that_stays_nothing_of_its_chat_goes() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let (stuck, free) = (
        world.hooked("stuck", &receiver.url()).await,
        world.hooked("free", &receiver.url()).await,
    );
    let relay = Relay::before(&world.database.endpoint).await;
    let key = format!("hook#{}", stuck.id);
    let away = relay.always(
        On::operations(["GetItem", "BatchGetItem"]).with(key),
        Fate::refused(testbed::relay::Reply::Failed),
    );
    let state = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    for text in ["one", "two", "three"] {
        world.tell(&stuck, "15550100001", text).await;
        world.tell(&free, "15550100001", &format!("free {text}")).await;
    }
    let failures = world
        .invoke(&state, &world.names.events())
        .await
        .expect("a batch");
    assert_eq!(failures.batch_item_failures.len(), 3);
    assert_eq!(receiver.texts(), ["free one", "free two", "free three"]);
    assert!(away.hits() > 0);
    away.end();
    world.clock.advance(TimeDelta::seconds(5));
    let failures = world
        .invoke(&state, &world.names.events())
        .await
        .expect("they come back");
    assert!(failures.batch_item_failures.is_empty());
    assert_eq!(receiver.texts()[3..], ["one", "two", "three"]);
    assert_eq!(world.left().await, (0, 0));
}

/// The next event of a chat does not wait for somebody else's endpoint.
#[tokio::test]
async fn what_is_done_is_deleted_while_others_of_its_batch_hang() {
    let world = World::with(functions::webhook_delivery::Settings {
        transport: functions::webhook_delivery::transport::Settings {
            deadline: Duration::from_mins(5),
            ..settings().transport
        },
        ..settings()
    })
    .await;
    let (hangs, good) = (
        Receiver::that(Does::Hangs).await,
        Receiver::that(Does::status(200)).await,
    );
    let (ill, well) = (
        world.hooked("ill", &hangs.url()).await,
        world.hooked("well", &good.url()).await,
    );
    world.tell(&ill, "15550100001", "one").await;
    world.tell(&well, "15550100001", "one").await;
    let received = world.receive(&world.names.events()).await;
    assert_eq!(received.len(), 2);
    let (state, batch) = (
        world.state.clone(),
        crate::world::batch(&world.names.events(), &received),
    );
    let invocation = tokio::spawn(async move { state.take(batch).await });
    until("the deletion", async || {
        let depth = world.queue.depth(&world.names.events()).await.expect("read");
        (depth.in_flight == 1).then_some(())
    })
    .await;
    assert_eq!(good.texts(), ["one"]);
    invocation.abort();
}

/// A queue that deletes nothing for as long as the test runs.
#[derive(Debug)]
struct NoDeletes(Arc<EmbeddedQueue>);

#[async_trait]
impl Passing for NoDeletes {
    fn inner(&self) -> &EmbeddedQueue {
        &self.0
    }

    async fn delete(&self, _: &QueueName, _: &Receipt) -> Result<(), QueueError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_deletion_that_takes_long_holds_up_no_attempt() {
    let world = World::new().await;
    let (slow, fast) = (
        Receiver::that(Does::Waits(Duration::from_millis(400))).await,
        Receiver::that(Does::status(200)).await,
    );
    let (later, first) = (
        world.hooked("later", &slow.url()).await,
        world.hooked("first", &fast.url()).await,
    );
    let queue = Arc::new(Through(NoDeletes(world.queue.clone())));
    let state = world.another(&world.table, queue, settings());
    let event = world.tell(&later, "15550100001", "one").await;
    world.tell(&first, "15550100001", "one").await;
    let received = world.receive(&world.names.events()).await;
    assert_eq!(received.len(), 2);
    let events = world.names.events();
    let taking = world.hand(&state, &events, received);
    let failures = in_time("the batch", taking).await;
    assert!(failures.batch_item_failures.is_empty());
    let delivery = world.delivery(&later, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Succeeded, "in its time");
    assert_eq!(delivery.attempts.len(), 1);
}

#[tokio::test]
async fn what_only_a_newer_version_reads_is_left_to_it() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let (event, group) = world.event(&instance, "15550100001", "hello").await;
    let newer = payload::encode(&event).replacen("\"v\":1", "\"v\":9999", 1);
    world.push(&newer, &group, "newer").await;
    let failures = world
        .invoke(&world.state, &world.names.events())
        .await
        .expect("a batch");
    assert_eq!(failures.batch_item_failures.len(), 1);
    assert_eq!(world.left().await, (1, 0));
}

#[tokio::test]
async fn what_can_never_be_done_is_set_aside_with_its_reason() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let (event, group) = world.event(&instance, "15550100001", "hello").await;
    world.push("{\"v\":1}", &group, "malformed").await;
    let mut corrupt = event.clone();
    corrupt.data = "AAAA".to_owned();
    world.push(&payload::encode(&corrupt), &group, "corrupt").await;
    world.push(&payload::encode(&event), &group, "good").await;
    world.work().await;
    assert_eq!(receiver.texts(), ["hello"], "they hold up nothing");
    assert_eq!(world.left().await, (0, 0));
    let dead = world.receive(&world.names.dead_fifo()).await;
    let reasons: Vec<_> = dead
        .iter()
        .map(|letter| {
            let letter: serde_json::Value = serde_json::from_str(&letter.body).expect("JSON");
            assert_eq!(letter["queue"], world.names.events().as_str());
            letter["reason"].as_str().expect("a reason").to_owned()
        })
        .collect();
    assert_eq!(reasons[0], "the payload is malformed");
    assert!(reasons[1].starts_with("its data: "), "{reasons:?}");
}

/// What was kept of an event is no event, or is cut short. Its log does not say that it waits.
#[tokio::test]
async fn a_kept_event_that_can_never_be_read_is_set_aside() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let name = |event| ObjectName::new(Area::Event, instance.id, DeliveryId::of(event));
    let (nonsense, short) = (
        world.tell(&instance, "15550100001", "nonsense").await,
        world.tell(&instance, "15550100002", "short").await,
    );
    world.work().await;
    let text = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{}"))]);
    let object = name(nonsense);
    let put = world.state.bucket.put(&object, text, Length::Exactly(2));
    put.await.expect("put");
    let objects = world.keys.directory().join("bucket").join("objects");
    let cut = std::fs::write(objects.join(name(short).to_string()), "cut");
    cut.expect("written");
    receiver.now(Does::status(200));
    world.pass(TimeDelta::seconds(6), TimeDelta::seconds(6)).await;
    for event in [nonsense, short] {
        let progress = world.delivery(&instance, event).await.expect("there").progress;
        assert_eq!(
            (progress.state, progress.next_attempt_at, progress.body_until),
            (DeliveryState::Failed, None, None)
        );
    }
    assert_eq!((receiver.connections(), world.left().await), (2, (0, 0)));
    assert_eq!(world.receive(&world.names.dead()).await.len(), 2);
}
