//! Endpoints that take each event, and long for it.

use std::time::Duration;

use chrono::TimeDelta;
use functions::webhook_delivery::slow::Limits;
use functions::webhook_delivery::{Settings, transport};
use shared::domain::delivery::{AttemptFault, DeliveryState};
use shared::domain::instance::Instance;
use testbed::wait::{in_time, until};

use crate::receiver::{Does, Receiver};
use crate::world::{World, batch, settings};

/// Settings by which a twentieth of a second is long.
fn hasty() -> Settings {
    Settings {
        transport: transport::Settings {
            deadline: Duration::from_mins(5),
            ..settings().transport
        },
        slow: Limits {
            after: Duration::from_millis(50),
            of_one: 2,
        },
        ..settings()
    }
}

/// A world in which a twentieth of a second is long, an endpoint that is known to be slow, and its instance.
async fn slow() -> (World, Receiver, Instance) {
    let world = World::with(hasty()).await;
    let receiver = Receiver::that(Does::Waits(Duration::from_millis(100))).await;
    let instance = world.hooked("sales", &receiver.url()).await;
    let event = world.tell(&instance, "15550100001", "first").await;
    world.work().await;
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
    let health = world.read(&instance).await.health;
    assert!(health.is_slow(world.now()) && health.is_well());
    (world, receiver, instance)
}

/// As on Lambda: each batch has a process of its own, and none knows of the others.
#[tokio::test]
async fn a_slow_endpoint_keeps_few_places_of_all_processes() {
    let (world, receiver, instance) = slow().await;
    receiver.now(Does::Hangs);
    for chat in 0..10 {
        world.tell(&instance, &format!("1555010001{chat}"), "hello").await;
    }
    let messages = world.receive(&world.names.events()).await;
    assert_eq!(messages.len(), 10);
    let mut processes = tokio::task::JoinSet::new();
    for message in messages {
        let state = world.another(&world.table, world.queue.clone(), hasty());
        let batch = batch(&world.names.events(), &[message]);
        processes.spawn(async move { state.take(batch).await });
    }
    for _ in 0..8 {
        let ended = in_time("a process that finds no place", processes.join_next()).await;
        let failures = ended.expect("one more").expect("no panic");
        assert_eq!(
            failures.batch_item_failures.len(),
            1,
            "its event stays in its line"
        );
    }
    until("the others", async || (receiver.connections() == 3).then_some(())).await;
    assert_eq!(processes.len(), 2);
}

/// What is done leaves its place to the next, so all of them come, and each chat in its order.
#[tokio::test]
async fn a_slow_endpoint_gets_its_events_in_their_order() {
    let (world, receiver, instance) = slow().await;
    receiver.now(Does::status(200));
    let mut wanted = Vec::new();
    for n in 0..3 {
        for chat in 1..=4 {
            let text = format!("{chat}: {n}");
            world.tell(&instance, &format!("1555010002{chat}"), &text).await;
            wanted.push(text);
        }
    }
    world.pass(TimeDelta::minutes(3), TimeDelta::seconds(5)).await;
    let mut texts = receiver.texts().split_off(1);
    texts.sort();
    wanted.sort();
    assert_eq!(texts, wanted);
    for chat in 1..=4 {
        let of_chat: Vec<_> = receiver
            .texts()
            .into_iter()
            .filter(|text| text.starts_with(&format!("{chat}: ")))
            .collect();
        assert_eq!(of_chat, [0, 1, 2].map(|n| format!("{chat}: {n}")));
    }
    assert_eq!(world.left().await, (0, 0));
}

#[tokio::test]
async fn what_waits_too_long_for_a_slow_endpoint_leaves_its_line() {
    let (world, receiver, instance) = slow().await;
    let event = world.tell(&instance, "15550100001", "waits").await;
    world.clock.advance(TimeDelta::minutes(16));
    // It has been slow all the time.
    let webhook = world.read(&instance).await;
    let until = world.now() + TimeDelta::minutes(5);
    let noted = world.webhooks().note_slow(&webhook, until).await;
    noted.expect("noted");
    world
        .invoke(&world.state, &world.names.events())
        .await
        .expect("a batch");
    assert_eq!(receiver.texts(), ["first"]);
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Pending);
    assert_eq!(delivery.attempts[0].fault, Some(AttemptFault::Paused));
    assert_eq!(world.left().await, (0, 1));
    world.pass(TimeDelta::seconds(6), TimeDelta::seconds(6)).await;
    assert_eq!(receiver.texts(), ["first", "waits"]);
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
}

/// What is left in a standard queue counts among its 120,000 messages that are given out, so it is not left there.
#[tokio::test]
async fn a_retry_that_finds_no_place_goes_through_its_queue_anew() {
    let (world, receiver, instance) = slow().await;
    receiver.now(Does::status(500));
    let event = world.tell(&instance, "15550100001", "again").await;
    world.work().await;
    receiver.now(Does::status(200));
    let (webhooks, of_one, now) = (world.webhooks(), hasty().slow.of_one, world.now());
    for _ in 0..of_one {
        let place = webhooks.take_place(instance.id, of_one, now, now + TimeDelta::minutes(10));
        assert!(place.await.expect("stored").is_some());
    }
    world.pass(TimeDelta::seconds(6), TimeDelta::seconds(6)).await;
    assert_eq!(receiver.texts(), ["first", "again"], "once, and refused");
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Pending);
    assert_eq!(delivery.attempts.len(), 1, "no attempt is spent");
    // When the places are free it comes, as a message that nobody has received before.
    world.clock.advance(TimeDelta::minutes(15));
    let waiting = world.receive(&world.names.events_retry()).await;
    assert_eq!(
        waiting
            .iter()
            .map(|message| message.receive_count)
            .collect::<Vec<_>>(),
        [1]
    );
    let taken = world
        .state
        .take(batch(&world.names.events_retry(), &waiting))
        .await;
    assert!(taken.batch_item_failures.is_empty());
    assert_eq!(receiver.texts(), ["first", "again", "again"]);
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
}

/// What is behind for another reason, such as an outage of ours, stays in its order.
#[tokio::test]
async fn what_waits_long_for_an_endpoint_that_is_not_slow_stays_in_its_line() {
    let (world, receiver, instance) = slow().await;
    receiver.now(Does::status(200));
    let event = world.tell(&instance, "15550100001", "waits").await;
    world.clock.advance(TimeDelta::hours(1));
    world.work().await;
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Succeeded);
    assert_eq!(delivery.attempts.len(), 1);
}
