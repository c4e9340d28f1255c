//! An account that may begin no chats for a time: messages to new people wait for its end, and warm chats go on.

use chrono::TimeDelta;
use shared::domain::instance::Instance;
use shared::domain::message::{Failure, FailureCode, State};
use shared::domain::shard::lane;
use shared::ids::MessageId;

use crate::network::Playing;
use crate::put_off::Host;
use crate::world::World;

const ALICE: &str = "15550100001";

/// Over how long after the end of a restriction its messages come back.
const SPREAD: TimeDelta = TimeDelta::minutes(20);

/// Numbers in the lane of [`ALICE`].
pub fn neighbours(instance: &Instance) -> impl Iterator<Item = String> {
    let lane_of = {
        let id = instance.id;
        move |number: &str| lane(id, &number.parse().expect("a number"))
    };
    (2..999)
        .map(|n| format!("15550100{n:03}"))
        .filter(move |number| lane_of(number) == lane_of(ALICE))
}

/// Lets WhatsApp say that the account is restricted for so long, when it is asked next.
fn restricted_for(world: &World, session: &Playing, hours: i64) {
    let end = world.now() + TimeDelta::hours(hours);
    let failure = Failure::of(FailureCode::ReachoutRestricted).until(Some(end));
    session.explain_next(Some(failure));
}

async fn refused(session: &mut Playing, message: MessageId) {
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, Some(463)).await;
}

async fn takes(session: &mut Playing, message: MessageId) {
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
}

#[tokio::test]
async fn messages_to_new_people_wait_until_its_end_and_warm_chats_of_the_same_lane_go_on() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    restricted_for(&world, &session, 5);
    let first = world.accept(&instance, ALICE, "new here").await;
    refused(&mut session, first).await;
    world.until_put_off(1).await;
    world.clock.advance(TimeDelta::seconds(1));
    // One behind it in its chat is not tried. Nor is WhatsApp asked again for another chat.
    let second = world.accept(&instance, ALICE, "are you there?").await;
    world.until_put_off(2).await;
    let mut neighbours = neighbours(&instance);
    let (new, warm) = (
        neighbours.next().expect("one"),
        neighbours.next().expect("another"),
    );
    let third = world.accept(&instance, &new, "new here too").await;
    refused(&mut session, third).await;
    world.until_put_off(3).await;
    for text in ["welcome", "back"] {
        let message = world.accept(&instance, &warm, text).await;
        takes(&mut session, message).await;
        world.until_state(&instance, message, State::Sent).await;
    }
    for message in [first, second, third] {
        world.until_state(&instance, message, State::Queued).await;
    }
    assert_eq!(session.refreshed(), [], "no token is missing");

    world.clock.advance(TimeDelta::hours(5) + SPREAD);
    let mut to_alice = Vec::new();
    for _ in 0..3 {
        let sent = session.sent().await;
        session.acknowledge(sent.message, None).await;
        if sent.to.phone() == Some(ALICE) {
            to_alice.push(sent.message);
        }
    }
    assert_eq!(to_alice, [first, second], "a chat keeps its order");
    for message in [first, second, third] {
        world.until_state(&instance, message, State::Sent).await;
    }
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
}

#[tokio::test]
async fn a_message_whose_time_runs_out_first_says_why() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let end = world.now() + TimeDelta::hours(20);
    restricted_for(&world, &session, 20);
    let message = world.accept_for(&instance, ALICE, TimeDelta::hours(2)).await;
    refused(&mut session, message).await;
    world.until_put_off(1).await;
    world.clock.advance(TimeDelta::hours(2));
    let record = world.until_state(&instance, message, State::Expired).await;
    let failure = record.failure.expect("why");
    assert_eq!(
        (failure.code.as_str(), failure.retryable),
        ("REACHOUT_RESTRICTED", true)
    );
    assert_eq!(failure.retry_after, Some(end));
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
}

/// What is known of the restriction is this process's; what was put off is the table's.
#[tokio::test]
async fn another_daemon_goes_on_with_what_was_put_off() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    restricted_for(&world, &session, 1);
    let message = world.accept(&instance, ALICE, "new here").await;
    refused(&mut session, message).await;
    world.until_put_off(1).await;
    daemon.stop().await;
    world.clock.advance(TimeDelta::hours(1) + SPREAD);
    let mut daemon = world.daemon("b").await;
    let mut session = daemon.session().await;
    session.log_in().await;
    takes(&mut session, message).await;
    world.until_state(&instance, message, State::Sent).await;
    world.until_put_off(0).await;
}

#[tokio::test]
async fn a_message_that_is_taken_back_while_it_is_put_off_does_not_go_out() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    restricted_for(&world, &session, 1);
    let message = world.accept(&instance, ALICE, "never mind").await;
    refused(&mut session, message).await;
    world.until_put_off(1).await;
    world.take_back(&instance, message).await;
    world.clock.advance(TimeDelta::hours(1) + SPREAD);
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
}

/// One refusal tells that the account is restricted. Whom it has never written to is not tried then, and no file is got.
#[tokio::test]
async fn people_whom_the_account_does_not_know_are_not_tried_and_come_back_one_after_the_other() {
    let (world, host) = (World::of_files().await, Host::answering("200 OK").await);
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    restricted_for(&world, &session, 5);
    let end = world.now() + TimeDelta::hours(5);
    let first = world.accept(&instance, ALICE, "new here").await;
    refused(&mut session, first).await;
    world.until_put_off(1).await;

    let strangers: Vec<_> = (101..113).map(|n| format!("15550100{n}")).collect();
    let mut messages = vec![first];
    for stranger in &strangers {
        session.is_new_to(&stranger.parse().expect("a number"));
        messages.push(world.accept(&instance, stranger, "new here too").await);
    }
    session.is_new_to(&"15550100200".parse().expect("a number"));
    messages.push(world.accept_file(&instance, "15550100200", &host.url).await);
    world.until_put_off(messages.len()).await;
    assert_eq!(
        (session.sent_besides(), host.asked()),
        (vec![], 0),
        "none was tried"
    );

    let put_off = world.put_off().await;
    assert!(put_off.iter().all(|(_, at)| (end..end + SPREAD).contains(at)));
    let (soonest, last) = (put_off[0].1, put_off[put_off.len() - 1].1);
    assert!(last - soonest > SPREAD / 4, "they are spread: {put_off:?}");
    for (message, at) in put_off {
        world.clock.advance(at - world.now());
        takes(&mut session, message).await;
        world.until_state(&instance, message, State::Sent).await;
    }
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
}
