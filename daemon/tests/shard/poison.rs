//! A message that ends the connection, and a network that does so by itself.

use std::collections::HashSet;

use daemon::connection::SessionEvent;
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::message::State;
use shared::domain::shard::lane;
use shared::ids::MessageId;

use crate::daemons::Daemon;
use crate::network::Playing;
use crate::world::World;

const ALICE: &str = "15550100001";

/// Ends the connection, and logs the next one in without the usual pause.
async fn reconnected(world: &World, daemon: &mut Daemon, instance: &Instance, session: &Playing) -> Playing {
    ended(world, daemon, instance, session, true).await
}

/// The same, where what was on the wire may be the cause or is not.
async fn ended(
    world: &World,
    daemon: &mut Daemon,
    instance: &Instance,
    session: &Playing,
    blames_wire: bool,
) -> Playing {
    let reason = "the stream ended".to_owned();
    let end = SessionEvent::Disconnected { reason, blames_wire };
    session.tell(end).await;
    world.want(instance, Wanted::Connected).await;
    let next = daemon.session().await;
    next.log_in().await;
    world.until_status(instance, Status::Connected).await;
    next
}

/// Numbers of other lanes than [`ALICE`]'s, and each of one of its own.
fn neighbours(instance: &Instance) -> Vec<String> {
    let of = |number: &str| lane(instance.id, &number.parse().expect("a number"));
    let mut taken = HashSet::from([of(ALICE)]);
    (2..99)
        .map(|n| format!("155501000{n:02}"))
        .filter(|number| taken.insert(of(number)))
        .take(4)
        .collect()
}

/// The connection has to stand for 3 s before the second and third attempt alone.
#[tokio::test]
async fn a_message_that_ends_the_connection_three_times_alone_is_set_aside_and_its_neighbours_go_out() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let poison = world.accept(&instance, ALICE, "poison").await;
    let mut innocent: Vec<MessageId> = Vec::new();
    for number in neighbours(&instance) {
        innocent.push(world.accept(&instance, &number, "innocent").await);
    }
    let behind = world.accept(&instance, ALICE, "behind it").await;
    // All lanes are on the wire when it ends first.
    for _ in 0..=innocent.len() {
        session.sent().await;
    }
    session = reconnected(&world, &mut daemon, &instance, &session).await;
    let (mut cuts, mut arrived) = (0, HashSet::new());
    while arrived.len() <= innocent.len() {
        let sent = session.sent().await.message;
        if sent == poison {
            cuts += 1;
            session = reconnected(&world, &mut daemon, &instance, &session).await;
        } else {
            session.acknowledge(sent, None).await;
            arrived.insert(sent);
        }
    }
    assert!(cuts >= 3, "given up after {cuts} cuts");
    let record = world.until_state(&instance, poison, State::Failed).await;
    let failure = record.failure.expect("why");
    assert_eq!((failure.code.as_str(), failure.retryable), ("POISON", false));
    assert!(arrived.contains(&behind), "its chat goes on");
    for message in innocent.into_iter().chain([behind]) {
        world.until_state(&instance, message, State::Sent).await;
    }
    world.until_no_sends().await;
    let parked = world.taken(&world.names.dead_fifo()).await;
    assert_eq!(parked.len(), 1);
    let letter: serde_json::Value = serde_json::from_str(&parked[0].body).expect("JSON");
    assert_eq!(
        letter["reason"],
        "the connection ended each time this message was sent"
    );
}

/// Each end is followed by a pause of the instance: 2, 4 and 8 s.
#[tokio::test]
async fn a_server_that_is_away_makes_no_poison() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world.accept(&instance, ALICE, "innocent").await;
    for _ in 0..3 {
        assert_eq!(session.sent().await.message, message);
        session = ended(&world, &mut daemon, &instance, &session, false).await;
    }
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    world.until_no_sends().await;
    assert_eq!(world.taken(&world.names.dead_fifo()).await, []);
}

#[tokio::test]
async fn a_network_that_flaps_makes_no_poison() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world.accept(&instance, ALICE, "innocent").await;
    // The network ends each connection, with the message on it and without.
    for _ in 0..3 {
        assert_eq!(session.sent().await.message, message);
        session = reconnected(&world, &mut daemon, &instance, &session).await;
        session = reconnected(&world, &mut daemon, &instance, &session).await;
    }
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    world.until_no_sends().await;
    assert_eq!(world.taken(&world.names.dead_fifo()).await, []);
}
