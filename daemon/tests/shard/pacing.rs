//! `messagesPerMinute`: an instance that is to send slowly does, and slows nobody else.

use std::time::Duration;

use shared::domain::instance::Instance;
use shared::domain::message::State;
use shared::domain::shard::{Shard, lane};
use tokio::time::Instant;

use crate::world::World;

const ALICE: &str = "15550100001";

impl World {
    /// Sets an instance's pace, as the API does, and waits until its daemon knows.
    async fn pace(&self, instance: &Instance, per_minute: Option<u16>) {
        self.configure(instance, |settings| settings.messages_per_minute = per_minute)
            .await;
    }
}

/// A number in each of so many lanes.
fn in_lanes(instance: &Instance, count: usize) -> Vec<String> {
    let mut lanes = Vec::new();
    let mut numbers = Vec::new();
    for number in (1..999).map(|n| format!("15550100{n:03}")) {
        let lane = lane(instance.id, &number.parse().expect("a number"));
        if !lanes.contains(&lane) && numbers.len() < count {
            lanes.push(lane);
            numbers.push(number);
        }
    }
    numbers
}

/// Places of 200 ms, shortened by a quarter at most. Only that nothing comes too early is asserted.
#[tokio::test]
async fn messages_of_all_lanes_share_the_places_of_a_minute() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world.pace(&instance, Some(300)).await;
    let began = Instant::now();
    for number in in_lanes(&instance, 4) {
        world.accept(&instance, &number, "slowly").await;
    }
    for _ in 0..4 {
        let sent = session.sent().await;
        session.acknowledge(sent.message, None).await;
        world.until_state(&instance, sent.message, State::Sent).await;
    }
    assert!(
        began.elapsed() >= Duration::from_millis(3 * 150),
        "{:?}",
        began.elapsed()
    );
    let sends = world.names.sends(0);
    assert_eq!(world.queue.received_again(&sends), 0, "they wait where they are");
}

/// One message a minute: what comes after the first comes in no test's time.
#[tokio::test]
async fn a_slow_instance_slows_no_other_and_goes_on_when_it_is_let() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (slow, mut slowly) = world.connected(&mut daemon).await;
    world.pace(&slow, Some(1)).await;
    let other = world.instance_of("other", Shard(0)).await;
    world.nudge(&other).await;
    let mut quickly = daemon.session().await;
    quickly.log_in().await;
    world
        .until_status(&other, shared::domain::instance::Status::Connected)
        .await;

    let first = world.accept(&slow, ALICE, "first").await;
    assert_eq!(slowly.sent().await.message, first);
    slowly.acknowledge(first, None).await;
    let second = world.accept(&slow, ALICE, "second").await;
    for n in 0..5 {
        let message = world.accept(&other, ALICE, &format!("text {n}")).await;
        assert_eq!(quickly.sent().await.message, message);
        quickly.acknowledge(message, None).await;
        world.until_state(&other, message, State::Sent).await;
    }
    assert_eq!(slowly.sent_besides(), [], "its minute is not over");
    world.until_state(&slow, second, State::Queued).await;
    world.pace(&slow, None).await;
    assert_eq!(slowly.sent().await.message, second);
    slowly.acknowledge(second, None).await;
    world.until_no_sends().await;
}

/// Places of 300 ms; the stranger takes four of them, shortened by a quarter at most.
#[tokio::test]
async fn a_message_to_somebody_new_takes_several_places() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let numbers = in_lanes(&instance, 2);
    session.is_new_to(&numbers[0].parse().expect("a number"));
    world.pace(&instance, Some(200)).await;
    let began = Instant::now();
    let stranger = world.accept(&instance, &numbers[0], "nice to meet you").await;
    assert_eq!(session.sent().await.message, stranger);
    session.acknowledge(stranger, None).await;
    let friend = world.accept(&instance, &numbers[1], "hello again").await;
    assert_eq!(session.sent().await.message, friend);
    assert!(
        began.elapsed() >= Duration::from_millis(4 * 225),
        "{:?}",
        began.elapsed()
    );
    session.acknowledge(friend, None).await;
    world.until_no_sends().await;
}
