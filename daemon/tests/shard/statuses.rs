//! Statuses: those who see them are found before the wire, where nobody else waits for that.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use daemon::connection::SendError;
use shared::domain::content::{Content, Status};
use shared::domain::instance::Instance;
use shared::domain::job::SendJob;
use shared::domain::message::{Kind, State};
use shared::domain::recipient::Recipient;
use shared::domain::shard::lane;
use shared::ids::MessageId;
use shared::sealed;

use crate::network::Playing;
use crate::world::World;

const ALICE: &str = "15550100001";

/// Accepts a status, as the API does.
pub async fn accept(world: &World, instance: &Instance) -> MessageId {
    accept_of(world, instance, Content::text("the sea")).await
}

/// Accepts a status that shows this, as the API does.
pub async fn accept_of(world: &World, instance: &Instance, shown: Content) -> MessageId {
    let job = world.job(instance, ALICE, "").await;
    let said = Content::Status(Status {
        status: Box::new(shown),
    });
    let sealing = sealed::seal(&world.sealer, instance.id, &job.message, &said);
    let job = SendJob {
        to: Recipient::Status,
        kind: Kind::Status,
        content: sealing.await.expect("sealed"),
        ..job
    };
    world.record(&job).await;
    world.enqueue(instance, &job).await;
    job.message
}

/// A number whose chat is in the lane of statuses.
fn neighbour(instance: &Instance) -> String {
    neighbour_of(instance, &Recipient::Status)
}

/// A number whose chat is in the lane of this one.
pub fn neighbour_of(instance: &Instance, chat: &Recipient) -> String {
    let beside = lane(instance.id, chat);
    let mut numbers = (1..999).map(|n| format!("15550100{n:03}"));
    let found = numbers.find(|number| {
        let to = number.parse().expect("a number");
        lane(instance.id, &to) == beside
    });
    found.expect("one in the lane")
}

async fn takes(world: &World, session: &mut Playing, instance: &Instance, message: MessageId) {
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(instance, message, State::Sent).await;
}

fn refuse_audience(session: &Playing, error: SendError) {
    let mut refusals = session.line.audience_refusals.lock().expect("no holder panics");
    refusals.push(error);
}

#[tokio::test]
async fn a_status_of_which_nobody_knows_who_sees_it_leaves_its_lane_and_comes_later() {
    let world = World::of_files().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    refuse_audience(&session, SendError::Unavailable("no such list".into()));
    let status = accept(&world, &instance).await;
    world.until_put_off(1).await;
    let record = world.until_state(&instance, status, State::Queued).await;
    let at = record.put_off_at.expect("the record says where its job is");
    let pause = at - world.now();
    assert!((44..=60).contains(&pause.num_seconds()), "{pause}");
    for to in [neighbour(&instance).as_str(), ALICE] {
        let text = world.accept(&instance, to, "meanwhile").await;
        takes(&world, &mut session, &instance, text).await;
    }
    world.clock.advance(pause);
    takes(&world, &mut session, &instance, status).await;
    assert_eq!(session.line.audiences.load(Ordering::Relaxed), 2);
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

/// Nothing of it was on the wire: its sender may send it again.
#[tokio::test]
async fn a_status_whose_audience_is_never_found_expires_and_has_not_arrived() {
    let mut world = World::of_files().await;
    world.audience_deadline = Duration::from_millis(100);
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.line.audience_hangs.send_replace(true);
    let status = accept(&world, &instance).await;
    world.until_put_off(1).await;
    let text = world.accept(&instance, &neighbour(&instance), "meanwhile").await;
    takes(&world, &mut session, &instance, text).await;
    world.clock.advance(TimeDelta::hours(24));
    let record = world.until_state(&instance, status, State::Expired).await;
    let failure = record.failure.expect("why");
    assert_eq!((failure.code.as_str(), failure.retryable), ("EXPIRED", true));
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

/// The queue gives out those of a lane that are there together, and nothing later while one of them is held.
#[tokio::test]
async fn a_long_look_for_an_audience_holds_up_its_own_chat_alone() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    let slow = accept(&world, &instance).await;
    let behind = accept(&world, &instance).await;
    let others = [
        world
            .accept(&instance, &neighbour(&instance), "in its lane")
            .await,
        world.accept(&instance, ALICE, "of the instance").await,
    ];
    let mut daemon = world.daemon("a").await;
    let mut session = daemon.session().await;
    session.line.audience_hangs.send_replace(true);
    session.log_in().await;
    for _ in others {
        let sent = session.sent().await.message;
        assert!(others.contains(&sent), "no status");
        session.acknowledge(sent, None).await;
        world.until_state(&instance, sent, State::Sent).await;
    }
    assert_eq!(session.sent_besides(), [], "nobody is found yet");
    session.line.audience_hangs.send_replace(false);
    for status in [slow, behind] {
        takes(&world, &mut session, &instance, status).await;
    }
    daemon.stop().await;
}

/// WhatsApp counts look-ups by themselves: other messages go on.
#[tokio::test]
async fn a_throttled_look_for_an_audience_slows_statuses_alone() {
    let world = World::of_files().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let throttled = SendError::Throttled {
        after: Some(Duration::from_mins(10)),
        source: "429".into(),
    };
    refuse_audience(&session, throttled);
    let status = accept(&world, &instance).await;
    world.until_put_off(1).await;
    let (_, at) = world.put_off().await[0];
    assert_eq!(at - world.now(), TimeDelta::minutes(10), "as WhatsApp asks");
    // The next one asks nothing.
    let next = accept(&world, &instance).await;
    world.until_put_off(2).await;
    assert_eq!(session.line.audiences.load(Ordering::Relaxed), 1);
    let text = world.accept(&instance, ALICE, "meanwhile").await;
    takes(&world, &mut session, &instance, text).await;
    world.clock.advance(TimeDelta::hours(24));
    for status in [status, next] {
        let record = world.until_state(&instance, status, State::Expired).await;
        assert_eq!(record.failure.expect("why").code, "RATE_OVERLIMIT");
    }
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

/// There is another connection in a moment, and the audience is looked for over that.
#[tokio::test]
async fn a_connection_that_ends_under_the_look_puts_nothing_off() {
    let world = World::of_files().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    refuse_audience(&session, SendError::NotConnected);
    let status = accept(&world, &instance).await;
    takes(&world, &mut session, &instance, status).await;
    assert_eq!(session.line.audiences.load(Ordering::Relaxed), 2);
    let record = world.until_state(&instance, status, State::Sent).await;
    assert_eq!(record.put_off_at, None);
    daemon.stop().await;
}
