//! Jobs in hand: each is held once, for as long as it takes.

use std::time::Duration;

use shared::domain::message::State;
use shared::domain::shard::lane;
use shared::queue::{OutgoingMessage, Queue as _};
use testbed::wait::until;

use crate::network::PANICS;
use crate::world::World;

const ALICE: &str = "15550100001";

/// The visibility of 10 s ends, and the daemon receives again what it has in hand.
#[tokio::test]
async fn a_job_that_could_not_be_held_goes_on_where_it_is() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world.queue.refuse_extensions(true);
    let first = world.accept(&instance, ALICE, "in hand").await;
    let second = world.accept(&instance, ALICE, "behind it").await;
    assert_eq!(session.sent().await.message, first);
    let queue = world.names.sends(0);
    until("the job's second receive", async || {
        (world.queue.received_again(&queue) > 0).then_some(())
    })
    .await;
    world.queue.refuse_extensions(false);
    assert_eq!(session.sent_besides(), [], "neither it nor what is behind it");
    session.acknowledge(first, None).await;
    assert_eq!(session.sent().await.message, second);
    session.acknowledge(second, None).await;
    world.until_state(&instance, second, State::Sent).await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), [], "each went out once");
}

/// One odd job is no reason for its lane to stand still.
#[tokio::test]
async fn a_job_whose_doing_panics_waits_and_holds_nobody_up() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let of = |number: &str| lane(instance.id, &number.parse().expect("a number"));
    let neighbour = (2..99)
        .map(|n| format!("155501000{n:02}"))
        .find(|number| of(number) == of(ALICE))
        .expect("one in eight");
    let odd = world.accept(&instance, ALICE, PANICS).await;
    let sound = world.accept(&instance, &neighbour, "sound").await;
    assert_eq!(session.sent().await.message, sound);
    session.acknowledge(sound, None).await;
    world.until_state(&instance, sound, State::Sent).await;
    let queue = world.names.sends(0);
    until("the odd job's second receive", async || {
        (world.queue.received_again(&queue) > 0).then_some(())
    })
    .await;
    let later = world.accept(&instance, &neighbour, "later").await;
    assert_eq!(session.sent().await.message, later, "the lane goes on");
    session.acknowledge(later, None).await;
    world.until_state(&instance, later, State::Sent).await;
    let record = world.messages.get(instance.id, odd).await.expect("read");
    assert_eq!(record.expect("there").state, State::Queued, "it waits");
}

#[tokio::test]
async fn a_nudge_of_a_newer_version_waits_for_a_newer_daemon() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (_instance, _session) = world.connected(&mut daemon).await;
    let queue = world.names.queries(0);
    let newer = OutgoingMessage::standard(r#"{"v":99,"type":"ask"}"#);
    world.queue.send(&queue, newer).await.expect("queued");
    until("its hiding", async || {
        world
            .queue
            .was_hidden_for(&queue, Duration::from_mins(1))
            .then_some(())
    })
    .await;
    until("its place out of sight", async || {
        let depth = world.queue.depth(&queue).await.expect("read");
        ((depth.visible, depth.in_flight) == (0, 1)).then_some(())
    })
    .await;
    assert_eq!(world.taken(&world.names.dead()).await, []);
}
