//! An endpoint that fails again and again is left alone, and comes back by one attempt.

use chrono::TimeDelta;
use shared::domain::delivery::{AttemptFault, DeliveryState};
use shared::queue::Queue as _;

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
