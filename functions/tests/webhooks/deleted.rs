//! Whoever deletes an instance or its webhook wants nothing more of it.

use std::time::Duration;

use chrono::TimeDelta;
use functions::webhook_delivery::Settings;
use shared::domain::delivery::{DeliveryState, Errand};
use shared::domain::event::Wants;
use shared::domain::payload;
use shared::domain::webhook::Confidential;
use shared::queue::{OutgoingMessage, Queue as _};
use shared::storage::keys;
use shared::storage::webhooks::Changed;

use crate::receiver::{Does, Receiver};
use crate::world::{World, headers, settings};

#[tokio::test]
async fn events_of_a_webhook_that_is_gone_are_dropped() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let waits = world.tell(&instance, "15550100001", "waits").await;
    world.work().await;
    world.tell(&instance, "15550100001", "in the line").await;
    let webhook = world.read(&instance).await;
    let deleted = world.webhooks().delete(&webhook).await;
    assert_eq!(deleted.expect("deleted"), Changed::Done);
    world.pass(TimeDelta::minutes(1), TimeDelta::seconds(6)).await;
    assert_eq!(receiver.texts(), ["waits"]);
    assert_eq!(world.left().await, (0, 0));
    assert!(!world.is_kept(&instance, waits).await);
}

#[tokio::test]
async fn a_webhook_that_is_made_anew_gets_nothing_from_before() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    world.tell(&instance, "15550100001", "before").await;
    world.work().await;
    let webhook = world.read(&instance).await;
    world.webhooks().delete(&webhook).await.expect("deleted");
    world.clock.advance(TimeDelta::seconds(1));
    receiver.now(Does::status(200));
    let confidential = Confidential::new(headers(&[]));
    world
        .webhook(&instance, &receiver.url(), confidential, Wants::everything())
        .await;
    let after = world.tell(&instance, "15550100001", "after").await;
    world.pass(TimeDelta::minutes(1), TimeDelta::seconds(6)).await;
    assert_eq!(receiver.texts(), ["before", "after"]);
    assert_eq!(world.progress(&instance, after).await, DeliveryState::Succeeded);
    assert_eq!(world.left().await, (0, 0));
}

#[tokio::test]
async fn events_of_an_instance_that_is_gone_are_dropped() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    world.tell(&instance, "15550100001", "hello").await;
    world.remove_item(&keys::instance(instance.id)).await;
    world.work().await;
    assert_eq!((receiver.connections(), world.left().await), (0, (0, 0)));
}

#[tokio::test]
async fn what_a_deleted_webhook_has_left_is_removed_and_the_next_ones_stays() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let old = world.tell(&instance, "15550100001", "old").await;
    world.work().await;
    assert!(world.is_kept(&instance, old).await);
    let webhook = world.read(&instance).await;
    world.webhooks().delete(&webhook).await.expect("deleted");
    let deleted_at = world.now();
    world.clock.advance(TimeDelta::seconds(1));
    let confidential = Confidential::new(headers(&[]));
    world
        .webhook(&instance, &receiver.url(), confidential, Wants::everything())
        .await;
    let new = world.tell(&instance, "15550100001", "new").await;
    let errand = Errand::Forget {
        instance: instance.id,
        webhook: webhook.created_at,
        deleted_at,
    };
    let message = OutgoingMessage::standard(payload::encode(&errand));
    let sent = world.queue.send(&world.names.events_retry(), message).await;
    sent.expect("queued");
    world.work().await;
    assert_eq!(world.delivery(&instance, old).await, None);
    assert!(!world.is_kept(&instance, old).await);
    assert_eq!(world.progress(&instance, new).await, DeliveryState::Pending);
    assert!(world.is_kept(&instance, new).await);
}

/// A log that takes longer than an errand may take: each errand ends what it has begun, and the next one goes on behind it.
#[tokio::test]
async fn a_long_log_is_removed_by_one_errand_after_the_other() {
    let world = World::with(Settings {
        forgets_for: Duration::ZERO,
        ..settings()
    })
    .await;
    let instance = world.hooked("sales", "http://127.0.0.1:4000/hook").await;
    let webhook = world.read(&instance).await;
    for _ in 0..250 {
        testbed::kept::delivery(&world.table, instance.id, world.now()).await;
    }
    let deleted_at = world.now();
    let errand = Errand::Forget {
        instance: instance.id,
        webhook: webhook.created_at,
        deleted_at,
    };
    let message = OutgoingMessage::standard(payload::encode(&errand));
    let sent = world.queue.send(&world.names.events_retry(), message).await;
    sent.expect("queued");
    let mut errands = 0;
    while world
        .invoke(&world.state, &world.names.events_retry())
        .await
        .is_some()
    {
        errands += 1;
    }
    assert_eq!(errands, 3, "a hundred each");
    let before = deleted_at + TimeDelta::milliseconds(1);
    let left = world
        .state
        .deliveries
        .left_before(instance.id, before, None)
        .await;
    assert!(left.expect("read").deliveries.is_empty());
    assert_eq!(world.left().await, (0, 0));
}
