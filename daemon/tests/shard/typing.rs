//! A recipient sees that somebody types before a message that asks for it.

use chrono::TimeDelta;
use daemon::connection::{ChatState, SessionEvent};
use shared::domain::instance::{Instance, Status};
use shared::domain::job::SendJob;
use shared::domain::message::State;
use shared::domain::recipient::Recipient;
use shared::domain::shard::lane;
use shared::ids::MessageId;
use shared::queue::Queue as _;
use testbed::wait::until;

use crate::network::Playing;
use crate::world::World;

const ALICE: &str = "15550100001";

/// Longer than a test may take.
const FOR_LONG: u32 = 600_000;

fn to(number: &str) -> Recipient {
    number.parse().expect("a number")
}

/// Accepts a text before which somebody types, as the API does.
async fn accept(world: &World, instance: &Instance, typing_ms: u32, expires: TimeDelta) -> MessageId {
    let job = world.job(instance, ALICE, "after a while").await;
    let job = SendJob {
        typing_ms: Some(typing_ms),
        expires_at: job.accepted_at + expires,
        ..job
    };
    world.record(&job).await;
    world.enqueue(instance, &job).await;
    job.message
}

async fn until_typing(session: &Playing) {
    until("somebody who types", async || {
        (session.shown() == [(to(ALICE), ChatState::Typing)]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_is_shown_first_and_once() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = accept(&world, &instance, 1_000, TimeDelta::hours(1)).await;
    until_typing(&session).await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    world.until_no_sends().await;
    assert_eq!(session.shown(), [(to(ALICE), ChatState::Typing)]);
    assert_eq!(session.sent_besides(), []);
}

#[tokio::test]
async fn other_lanes_go_on_and_the_end_of_the_daemon_does_not_wait_for_it() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let bob = (2..99)
        .map(|n| format!("155501000{n:02}"))
        .find(|number| lane(instance.id, &to(number)) != lane(instance.id, &to(ALICE)))
        .expect("another lane");
    let message = accept(&world, &instance, FOR_LONG, TimeDelta::hours(1)).await;
    until_typing(&session).await;
    let other = world.accept(&instance, &bob, "meanwhile").await;
    assert_eq!(session.sent().await.message, other);
    session.acknowledge(other, None).await;
    world.until_state(&instance, other, State::Sent).await;

    daemon.stop().await;
    let shown = [ChatState::Typing, ChatState::Paused].map(|state| (to(ALICE), state));
    assert_eq!(session.shown(), shown);
    assert_eq!(session.sent_besides(), [], "it waits for the next daemon");
    world.until_state(&instance, message, State::Queued).await;
    let depth = world.queue.depth(&world.names.sends(0)).await.expect("read");
    assert_eq!(depth.visible + depth.in_flight, 1);
}

/// What was shown once is not shown again: the message goes out at once.
#[tokio::test]
async fn a_connection_that_ends_meanwhile_does_not_begin_it_anew() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let message = accept(&world, &instance, FOR_LONG, TimeDelta::hours(1)).await;
    until_typing(&session).await;
    session
        .tell(SessionEvent::Disconnected {
            reason: "the stream ended".to_owned(),
            blames_wire: true,
        })
        .await;
    let mut next = daemon.session().await;
    next.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    assert_eq!(next.sent().await.message, message);
    next.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    assert_eq!(next.shown(), []);
}

/// The time of a message is for its sending. Nobody types it away.
#[tokio::test]
async fn a_message_goes_out_before_its_time_is_over() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = accept(&world, &instance, FOR_LONG, TimeDelta::seconds(5)).await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
}
