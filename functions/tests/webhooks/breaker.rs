//! An endpoint that fails again and again is left alone, and comes back by one attempt.

use chrono::TimeDelta;
use shared::domain::delivery::{AttemptFault, DeliveryState};
use shared::domain::instance::Instance;
use shared::domain::webhook::Webhook;
use shared::queue::Queue as _;
use shared::storage::webhooks::{Changed, Pause, Webhooks};
use testbed::relay::{Fate, On, Relay};
use testbed::table::patient;

use crate::receiver::{Does, Receiver};
use crate::world::World;

#[tokio::test]
async fn an_open_breaker_costs_no_connection_and_one_probe_closes_it() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let mut events = Vec::new();
    for n in 0..12 {
        // Each in a chat of its own, one after the other.
        let chat = format!("155501000{n:02}");
        events.push(world.tell(&instance, &chat, "hello").await);
        world
            .invoke(&world.state, &world.names.events())
            .await
            .expect("a batch");
    }
    assert_eq!(receiver.connections(), 5, "then it is left alone");
    let mut paused = 0;
    for event in &events {
        let delivery = world.delivery(&instance, *event).await.expect("it is in the log");
        assert_eq!(delivery.progress.state, DeliveryState::Pending);
        assert_eq!(delivery.attempts.len(), 1, "each is counted");
        paused += usize::from(delivery.attempts[0].fault == Some(AttemptFault::Paused));
    }
    assert_eq!(paused, 7);

    // Its time is over. It still fails, so one attempt is made and no other.
    world.clock.advance(TimeDelta::seconds(40));
    while world
        .invoke(&world.state, &world.names.events_retry())
        .await
        .is_some()
    {}
    assert_eq!(receiver.connections(), 6);

    // It is well again: the next one finds that out, and all others come through.
    receiver.now(Does::status(200));
    world.pass(TimeDelta::hours(1), TimeDelta::seconds(20)).await;
    for event in events {
        assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
    }
    assert!(world.read(&instance).await.health.is_well());
    let depth = world.queue.depth(&world.names.dead()).await.expect("read");
    assert_eq!(depth.visible, 0);
}

/// Of many that come at once one probes.
#[tokio::test]
async fn many_at_once_make_one_probe() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    for n in 0..5 {
        world.tell(&instance, &format!("155501000{n:02}"), "hello").await;
        world
            .invoke(&world.state, &world.names.events())
            .await
            .expect("a batch");
    }
    assert_eq!(receiver.connections(), 5);
    world.clock.advance(TimeDelta::minutes(1));
    for n in 10..20 {
        world.tell(&instance, &format!("155501000{n:02}"), "hello").await;
    }
    let failures = world
        .invoke(&world.state, &world.names.events())
        .await
        .expect("a batch");
    assert!(failures.batch_item_failures.is_empty());
    assert_eq!(receiver.connections(), 6);
}

/// A webhook whose endpoint fails so long that its breaker opens with each failure, and what the next one would say.
async fn failing(world: &World) -> (Instance, Webhook, Pause) {
    let instance = world.hooked("sales", "http://127.0.0.1:4000/hook").await;
    let mut webhook = world.read(&instance).await;
    for _ in 0..5 {
        let noted = world
            .webhooks()
            .note_failure(&webhook, world.now(), Pause::default())
            .await;
        noted.expect("noted");
        webhook = world.read(&instance).await;
    }
    let by_rule = Some(world.now() + TimeDelta::minutes(5));
    (instance, webhook, Pause { asked: None, by_rule })
}

/// The owner has given another URL while an attempt to the old one was under way.
#[tokio::test]
async fn a_late_failure_at_the_old_url_says_nothing_of_the_new_one() {
    let world = World::new().await;
    let (instance, old, pause) = failing(&world).await;
    let new = Webhook {
        version: old.version + 1,
        ..old.clone()
    };
    let put = world.webhooks().put(&new, Some(&old), None).await;
    assert_eq!(put.expect("stored"), Changed::Done);
    let noted = world.webhooks().note_failure(&old, world.now(), pause).await;
    noted.expect("answered");
    assert!(world.read(&instance).await.health.is_well());
}

#[tokio::test]
async fn a_late_failure_after_a_success_is_counted_and_opens_nothing() {
    let world = World::new().await;
    let (instance, webhook, pause) = failing(&world).await;
    world.webhooks().note_success(&webhook).await.expect("noted");
    let noted = world.webhooks().note_failure(&webhook, world.now(), pause).await;
    noted.expect("noted");
    let health = world.read(&instance).await.health;
    assert_eq!((health.failures, health.open_until), (1, None));
    // What it asks for itself it has all the same.
    world.webhooks().note_success(&webhook).await.expect("noted");
    world.clock.advance(TimeDelta::seconds(1));
    let asked = Some(world.now() + TimeDelta::minutes(1));
    let noted = world
        .webhooks()
        .note_failure(&webhook, world.now(), Pause { asked, ..pause })
        .await;
    noted.expect("noted");
    let health = world.read(&instance).await.health;
    assert_eq!(health.open_until, asked);
}

/// The table has done it, and the answer was lost: the request that is made again finds its own mark.
#[tokio::test]
async fn who_may_probe_knows_it_though_the_answer_was_lost() {
    let world = World::new().await;
    let (instance, webhook, pause) = failing(&world).await;
    let noted = world.webhooks().note_failure(&webhook, world.now(), pause).await;
    noted.expect("noted");
    let webhook = world.read(&instance).await;
    let until = world.now() + TimeDelta::minutes(10);
    let relay = Relay::before(&world.database.endpoint).await;
    let lost = relay.plan(On::operation("UpdateItem").with("hook#"), [Fate::LOST]);
    let webhooks = Webhooks::new(patient(relay.endpoint()));
    assert!(webhooks.probe(&webhook, until).await.expect("answered"));
    assert!(lost.is_done());
    assert!(
        !webhooks.probe(&webhook, until).await.expect("answered"),
        "one may"
    );
}
