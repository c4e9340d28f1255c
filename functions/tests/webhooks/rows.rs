//! Rows of attempts: one message of a row makes each attempt, a later row ends an earlier one, and a row does not end in a
//! pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::delivery::{
    Attempt, AttemptFault, Body, Delivery, DeliveryState, Errand, Progress, Retry, Row,
};
use shared::domain::event::Event;
use shared::domain::instance::Instance;
use shared::domain::payload;
use shared::ids::EventId;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{OutgoingMessage, Queue as _, QueueError, QueueName, SendOutcome};
use shared::storage::webhooks::Pause;
use testbed::queues::{Passing, Through};

use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

/// The retry of an event that is in the bucket, as the route queues it that sends it again.
async fn again(world: &World, instance: &Instance, event: EventId) -> Retry {
    Retry {
        id: event,
        instance: instance.id,
        subscription: instance.subscription,
        webhook: world.read(instance).await.created_at,
        attempt: 0,
        asked_at: Some(world.now()),
        due_at: world.now(),
        body: Body::Kept,
    }
}

async fn queue(world: &World, retry: Retry) {
    let message = OutgoingMessage::standard(payload::encode(&Errand::Retry(retry)));
    let sent = world.queue.send(&world.names.events_retry(), message).await;
    sent.expect("queued");
}

#[tokio::test]
async fn a_failed_event_is_sent_again_when_somebody_asks_for_it() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    world.pass(TimeDelta::days(2), TimeDelta::minutes(15)).await;
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Failed);
    receiver.now(Does::status(200));
    let asked = again(&world, &instance, event).await;
    for _ in 0..2 {
        queue(&world, asked.clone()).await;
        world.work().await;
    }
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Succeeded);
    assert_eq!(
        delivery.attempts.len(),
        9,
        "the second request finds it delivered"
    );
    assert!(!world.is_kept(&instance, event).await);
}

/// The older row has a message in the queue still, and that is at its last attempt.
#[tokio::test]
async fn a_row_that_somebody_asked_for_ends_the_one_before() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    world.clock.advance(TimeDelta::seconds(1));
    let asked = again(&world, &instance, event).await;
    queue(&world, asked.clone()).await;
    world.work().await;
    assert_eq!((receiver.heard().len(), world.left().await), (2, (0, 2)));
    let old = Retry {
        attempt: 7,
        asked_at: Some(DateTime::UNIX_EPOCH),
        due_at: world.now() + TimeDelta::seconds(5),
        ..asked
    };
    queue(&world, old).await;
    world.pass(TimeDelta::seconds(7), TimeDelta::seconds(1)).await;
    assert_eq!(receiver.heard().len(), 3, "the new row's second attempt");
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Pending);
    assert_eq!(world.left().await, (0, 1), "nothing is left of the old row");
}

/// A queue that takes what it is sent and answers too late, so many times.
#[derive(Debug)]
struct Late {
    inner: Arc<EmbeddedQueue>,
    left: AtomicUsize,
}

#[async_trait]
impl Passing for Late {
    fn inner(&self) -> &EmbeddedQueue {
        &self.inner
    }

    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        let sent = self.inner.send(queue, message).await?;
        let counted = |left: usize| left.checked_sub(1);
        match self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, counted)
        {
            Ok(_) => Err(QueueError::Timeout { operation: "send" }),
            Err(_) => Ok(sent),
        }
    }
}

#[tokio::test]
async fn of_many_copies_of_a_retry_one_makes_the_attempt() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let queue = Arc::new(Through(Late {
        inner: world.queue.clone(),
        left: AtomicUsize::new(2),
    }));
    let state = world.another(&world.table, queue, settings());
    let event = world.tell(&instance, "15550100001", "hello").await;
    for stays in [1, 1, 0] {
        let failures = world
            .invoke(&state, &world.names.events())
            .await
            .expect("it comes back");
        assert_eq!(failures.batch_item_failures.len(), stays);
        world.clock.advance(TimeDelta::seconds(15));
    }
    assert_eq!((receiver.heard().len(), world.left().await), (1, (0, 3)));
    world.pass(TimeDelta::minutes(2), TimeDelta::seconds(5)).await;
    assert_eq!(receiver.heard().len(), 2, "the second attempt, once");
    world.pass(TimeDelta::hours(40), TimeDelta::minutes(2)).await;
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Failed);
    assert_eq!(receiver.heard().len(), 8);
    assert_eq!(world.left().await, (0, 0));
}

/// An event of which so many attempts have failed, and its next one is due. Its delivery is of the version before rows where it
/// counts none.
async fn with_attempts(world: &World, instance: &Instance, counted: Option<u32>, since: TimeDelta) -> Event {
    let (event, _) = world.event(instance, "15550100001", "hello").await;
    let attempt = Attempt {
        at: world.now() - since,
        status: Some(500),
        took_ms: 1,
        fault: Some(AttemptFault::Status),
    };
    let progress = Progress {
        state: DeliveryState::Pending,
        next_attempt_at: Some(world.now()),
        body_until: None,
        row: Row {
            asked_at: DateTime::UNIX_EPOCH,
            made: counted,
        },
    };
    let delivery = Delivery::first(&event, None, attempt, progress);
    let recorded = world.state.deliveries.record(&delivery).await;
    assert!(recorded.expect("stored"));
    event
}

/// The message by which it is tried.
async fn due(world: &World, instance: &Instance, event: Event, attempt: u32, row: Option<DateTime<Utc>>) {
    let retry = Retry {
        attempt,
        asked_at: row,
        body: Body::Here(Box::new(event.clone())),
        ..again(world, instance, event.id).await
    };
    queue(world, retry).await;
}

#[tokio::test]
async fn a_row_of_the_version_before_goes_on() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let event = with_attempts(&world, &instance, None, TimeDelta::hours(1)).await;
    let id = event.id;
    due(&world, &instance, event, 6, None).await;
    world.work().await;
    let progress = world.delivery(&instance, id).await.expect("there").progress;
    assert_eq!(
        (progress.state, progress.row.made),
        (DeliveryState::Pending, Some(7))
    );
    world.pass(TimeDelta::hours(12), TimeDelta::minutes(30)).await;
    assert_eq!(world.progress(&instance, id).await, DeliveryState::Failed);
    assert_eq!(receiver.heard().len(), 2);
}

/// Somebody else's failures are not this event's.
#[tokio::test]
async fn a_pause_does_not_take_the_last_attempt() {
    for (age, lives) in [(TimeDelta::days(2), true), (TimeDelta::days(6), false)] {
        let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
        let instance = world.hooked("sales", &receiver.url()).await;
        let pause = Pause {
            asked: Some(world.now() + TimeDelta::minutes(1)),
            by_rule: None,
        };
        let webhook = world.read(&instance).await;
        let noted = world.webhooks().note_failure(&webhook, world.now(), pause).await;
        noted.expect("noted");
        let event = with_attempts(&world, &instance, Some(7), age).await;
        let id = event.id;
        due(&world, &instance, event, 7, Some(DateTime::UNIX_EPOCH)).await;
        world.work().await;
        let delivery = world.delivery(&instance, id).await.expect("there");
        assert_eq!(receiver.connections(), 0);
        assert_eq!(delivery.attempts[1].fault, Some(AttemptFault::Paused));
        if lives {
            assert_eq!(delivery.progress.state, DeliveryState::Pending);
            world.pass(TimeDelta::hours(2), TimeDelta::minutes(5)).await;
            assert_eq!(world.progress(&instance, id).await, DeliveryState::Succeeded);
        } else {
            assert_eq!(delivery.progress.state, DeliveryState::Failed);
        }
        assert_eq!(world.left().await, (0, 0));
    }
}
