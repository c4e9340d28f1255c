//! What this function stands on is away: nothing is dropped, nothing is dead-lettered, and what was done is not forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use shared::domain::delivery::DeliveryState;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{OutgoingMessage, Queue as _, QueueError, QueueName, SendOutcome};
use testbed::queues::{Passing, Through};
use testbed::relay::{Fate, On, Relay, Reply};
use testbed::table::patient;

use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

const FAILED: Fate = Fate::refused(Reply::Failed);

/// The endpoint has an event, and that cannot be stored. The process that knows it does not send the event again.
#[tokio::test]
async fn an_event_that_arrived_is_recorded_later_and_not_sent_again() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let relay = Relay::before(&world.database.endpoint).await;
    let state = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    let away = relay.always(On::operation("PutItem").with("dlv#"), FAILED);
    let event = world.tell(&instance, "15550100001", "hello").await;
    let failures = world
        .invoke(&state, &world.names.events())
        .await
        .expect("a batch");
    assert_eq!(failures.batch_item_failures.len(), 1);
    away.end();
    world.clock.advance(TimeDelta::seconds(5));
    let failures = world
        .invoke(&state, &world.names.events())
        .await
        .expect("it comes back");
    assert!(failures.batch_item_failures.is_empty());
    assert_eq!(receiver.heard().len(), 1);
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Succeeded);
    assert_eq!(
        delivery.attempts[0].at,
        world.now() - TimeDelta::seconds(5),
        "when it was sent"
    );
    assert_eq!(world.left().await, (0, 0));
}

/// The process ends between the attempt and its record: the event comes twice, under one id.
#[tokio::test]
async fn an_event_whose_process_ended_comes_again_under_its_id() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let relay = Relay::before(&world.database.endpoint).await;
    let dies = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    let record = relay.hold(On::operation("PutItem").with("dlv#"));
    let event = world.tell(&instance, "15550100001", "hello").await;
    let came = world.receive(&world.names.events()).await;
    let batch = crate::world::batch(&world.names.events(), &came);
    let process = tokio::spawn(async move { dies.take(batch).await });
    let held = record.arrived().await;
    process.abort();
    assert!(process.await.is_err(), "it ended before it could say anything");
    held.release(Fate::BROKEN);
    drop(relay);
    // Its messages come back when their time is over.
    world.clock.advance(TimeDelta::minutes(3));
    world.work().await;
    let ids: Vec<_> = receiver
        .heard()
        .iter()
        .map(|heard| heard.id().to_owned())
        .collect();
    assert_eq!(ids, [event.to_string(), event.to_string()]);
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
    assert_eq!(world.left().await, (0, 0));
}

/// The table can be read and not written, and each receive is another process's. What cannot be recorded is not sent over and
/// over.
#[tokio::test]
async fn while_nothing_can_be_written_an_event_is_sent_once() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let relay = Relay::before(&world.database.endpoint).await;
    let process = || world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    let away = relay.always(On::operations(["PutItem", "UpdateItem"]).with("dlv#"), FAILED);
    let event = world.tell(&instance, "15550100001", "hello").await;
    for _ in 0..4 {
        world
            .invoke(&process(), &world.names.events())
            .await
            .expect("it comes back");
        world.clock.advance(TimeDelta::minutes(1));
    }
    assert_eq!(receiver.heard().len(), 1);
    away.end();
    world
        .invoke(&process(), &world.names.events())
        .await
        .expect("it comes back");
    assert_eq!(receiver.heard().len(), 2, "nobody knows that it arrived");
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Succeeded);
    assert_eq!(delivery.attempts.len(), 1);
    assert_eq!(world.left().await, (0, 0));
}

/// A queue that takes nothing for the retry queue.
#[derive(Debug)]
struct NoRetries {
    inner: Arc<EmbeddedQueue>,
    is_away: AtomicBool,
}

#[async_trait]
impl Passing for NoRetries {
    fn inner(&self) -> &EmbeddedQueue {
        &self.inner
    }

    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        if self.is_away.load(Ordering::SeqCst) && queue.as_str().ends_with("-retry") {
            return Err(QueueError::Timeout { operation: "send" });
        }
        self.inner.send(queue, message).await
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_put_off_stays_in_its_line_and_is_not_tried_again_at_once() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let queue = Arc::new(Through(NoRetries {
        inner: world.queue.clone(),
        is_away: true.into(),
    }));
    let state = world.another(&world.table, queue.clone(), settings());
    let event = world.tell(&instance, "15550100001", "hello").await;
    let failures = world
        .invoke(&state, &world.names.events())
        .await
        .expect("a batch");
    assert_eq!(failures.batch_item_failures.len(), 1);
    assert_eq!(world.left().await, (1, 0));
    queue.is_away.store(false, Ordering::SeqCst);
    world.clock.advance(TimeDelta::seconds(5));
    let failures = world
        .invoke(&state, &world.names.events())
        .await
        .expect("it comes back");
    assert!(failures.batch_item_failures.is_empty());
    assert_eq!(receiver.heard().len(), 1, "its attempt is in the log");
    assert_eq!(world.left().await, (0, 1));
    receiver.now(Does::status(200));
    world.pass(TimeDelta::minutes(1), TimeDelta::seconds(6)).await;
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
}

#[tokio::test]
async fn an_event_that_cannot_be_kept_stays_in_its_line() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let folder = world.keys.directory().join("bucket");
    let aside = world.keys.directory().join("aside");
    std::fs::rename(&folder, &aside).expect("moved");
    std::fs::write(&folder, "no folder").expect("written");
    let event = world.tell(&instance, "15550100001", "hello").await;
    let failures = world
        .invoke(&world.state, &world.names.events())
        .await
        .expect("a batch");
    assert_eq!(failures.batch_item_failures.len(), 1);
    assert_eq!(world.left().await, (1, 0));
    std::fs::remove_file(&folder).expect("removed");
    std::fs::rename(&aside, &folder).expect("moved");
    world.clock.advance(TimeDelta::seconds(5));
    world.work().await;
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Pending);
    assert!(world.is_kept(&instance, event).await);
    assert_eq!(world.left().await, (0, 1));
}

/// Its first attempt failed: it was kept, and that could not be recorded.
#[tokio::test]
async fn an_event_that_was_kept_and_then_delivered_is_not_kept_any_more() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let relay = Relay::before(&world.database.endpoint).await;
    let state = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    let away = relay.always(On::operation("PutItem").with("dlv#"), FAILED);
    let event = world.tell(&instance, "15550100001", "hello").await;
    world
        .invoke(&state, &world.names.events())
        .await
        .expect("a batch");
    assert!(world.is_kept(&instance, event).await);
    assert_eq!(world.delivery(&instance, event).await, None);
    away.end();
    receiver.now(Does::status(200));
    world.clock.advance(TimeDelta::seconds(5));
    world.work().await;
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
    assert!(!world.is_kept(&instance, event).await);
}

/// Data keys cannot be had for a day. It costs receives, and far fewer than make a message poison.
#[tokio::test]
async fn an_outage_of_a_day_costs_no_event() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let relay = Relay::before(&world.database.endpoint).await;
    let state = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    let away = relay.always(
        On::operation("GetItem").with("dek#"),
        Fate::refused(Reply::Code(400, "AccessDeniedException")),
    );
    for text in ["one", "two"] {
        world.tell(&instance, "15550100001", text).await;
    }
    let end = world.now() + TimeDelta::days(1);
    let mut times = 0;
    while world.now() < end {
        times += usize::from(world.invoke(&state, &world.names.events()).await.is_some());
        world.clock.advance(TimeDelta::minutes(5));
    }
    assert!((50..300).contains(&times), "{times}");
    assert_eq!((receiver.connections(), world.left().await), (0, (2, 0)));
    away.end();
    world.clock.advance(TimeDelta::minutes(15));
    while world.invoke(&state, &world.names.events()).await.is_some() {}
    assert_eq!(receiver.texts(), ["one", "two"]);
    assert_eq!(world.left().await, (0, 0));
    let dead = world.queue.depth(&world.names.dead_fifo()).await.expect("read");
    assert_eq!(dead.visible, 0);
}
