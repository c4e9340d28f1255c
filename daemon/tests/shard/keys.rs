//! Messages to many whose keys take long, or cannot be had: they leave their lane to others, and their chat keeps its order.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use daemon::connection::{SendError, SessionEvent};
use shared::domain::instance::Instance;
use shared::domain::message::State;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use testbed::wait::until;

use crate::network::Playing;
use crate::put_off::{Host, THERE, document};
use crate::statuses;
use crate::world::World;

const GROUP: &str = "120363021033254949@g.us";
const ALICE: &str = "15550100001";

/// A world whose daemons put a message off as soon as it waits for keys.
async fn impatient() -> World {
    let mut world = World::new().await;
    world.keys_patience = Duration::ZERO;
    world
}

fn group() -> Recipient {
    GROUP.parse().expect("a group")
}

fn agreements(session: &Playing) -> usize {
    session.line.agreements.load(Ordering::Relaxed)
}

async fn takes(world: &World, session: &mut Playing, instance: &Instance, message: MessageId) {
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(instance, message, State::Sent).await;
}

impl World {
    /// Lets all messages that are put off come back. Answers when the last of them was to.
    async fn come_back(&self) -> DateTime<Utc> {
        let put_off = self.put_off().await;
        let last = put_off.iter().map(|(_, at)| *at).max().expect("one");
        self.clock.advance(last - self.now());
        last
    }

    /// Lets so many messages that are put off come back, and waits until all of them are put off anew.
    async fn until_put_off_again(&self, count: usize) {
        let last = self.come_back().await;
        until("messages that are put off again", async || {
            let again = self.put_off().await;
            let is_new = again.len() == count && again.iter().all(|(_, at)| *at > last);
            is_new.then_some(())
        })
        .await;
        self.until_no_sends().await;
    }
}

#[tokio::test]
async fn a_group_whose_keys_take_long_holds_up_nobody_and_keeps_its_order() {
    let world = impatient().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.line.keys_hang.send_replace(true);
    let mut to_group = Vec::new();
    for n in 1..=2 {
        to_group.push(world.accept(&instance, GROUP, "to all").await);
        world.until_put_off(n).await;
        // A later message has a later id.
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    let record = world.until_state(&instance, to_group[0], State::Queued).await;
    assert!(record.put_off_at.is_some(), "the record says where its job is");
    // Others of its lane go on.
    for to in [statuses::neighbour_of(&instance, &group()).as_str(), ALICE] {
        let text = world.accept(&instance, to, "meanwhile").await;
        takes(&world, &mut session, &instance, text).await;
    }

    // They come back in vain.
    world.until_put_off_again(2).await;
    assert_eq!(agreements(&session), 1, "one goes on");
    // The keys are there, and what comes before the others are back stays behind them.
    session.line.keys_hang.send_replace(false);
    to_group.push(world.accept(&instance, GROUP, "to all").await);
    world.until_put_off(3).await;
    assert_eq!(session.sent_besides(), []);
    world.come_back().await;
    for message in &to_group {
        takes(&world, &mut session, &instance, *message).await;
    }
    world.until_put_off(0).await;
    let counts = world.until_counted(&instance, |counts| counts.ended == 5).await;
    assert_eq!((counts.put_off, counts.back), (5, 5));

    // Nothing is put off from then on.
    let message = world.accept(&instance, GROUP, "to all").await;
    takes(&world, &mut session, &instance, message).await;
    let record = world.until_state(&instance, message, State::Sent).await;
    assert_eq!(record.put_off_at, None);
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_taken_back_while_keys_are_agreed_upon_does_not_go_out_and_holds_up_nothing() {
    let world = impatient().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.line.keys_hang.send_replace(true);
    let first = world.accept(&instance, GROUP, "never mind").await;
    world.until_put_off(1).await;
    world.clock.advance(TimeDelta::milliseconds(1));
    let second = world.accept(&instance, GROUP, "this one").await;
    world.until_put_off(2).await;
    world.call_back(&instance, first).await;
    world.until_put_off(1).await;
    session.line.keys_hang.send_replace(false);
    world.come_back().await;
    takes(&world, &mut session, &instance, second).await;
    world.until_state(&instance, first, State::Cancelled).await;
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

/// Nothing of it was on the wire: its sender may send it again.
#[tokio::test]
async fn a_message_whose_time_runs_out_before_the_keys_are_there_has_not_arrived() {
    let world = impatient().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.line.keys_hang.send_replace(true);
    let time = TimeDelta::hours(1);
    let message = world.accept_for(&instance, GROUP, time).await;
    world.until_put_off(1).await;
    world.clock.advance(time);
    let record = world.until_state(&instance, message, State::Expired).await;
    let failure = record.failure.expect("why");
    assert_eq!((failure.code.as_str(), failure.retryable), ("EXPIRED", true));
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

#[tokio::test]
async fn keys_that_cannot_be_had_put_a_chat_off_in_order_for_as_long_as_whatsapp_asks() {
    let world = impatient().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let throttled = SendError::Throttled {
        after: Some(Duration::from_mins(10)),
        source: "429".into(),
    };
    session
        .line
        .key_refusals
        .lock()
        .expect("no holder panics")
        .push(throttled);
    let first = world.accept(&instance, GROUP, "one").await;
    world.until_put_off(1).await;
    let (_, at) = world.put_off().await[0];
    assert_eq!(at - world.now(), TimeDelta::minutes(10));
    world.clock.advance(TimeDelta::milliseconds(1));
    let second = world.accept(&instance, GROUP, "two").await;
    world.until_put_off(2).await;
    assert_eq!(agreements(&session), 1, "the next one asks nothing");
    let text = world.accept(&instance, ALICE, "meanwhile").await;
    takes(&world, &mut session, &instance, text).await;
    world.clock.advance(TimeDelta::minutes(10));
    for message in [first, second] {
        takes(&world, &mut session, &instance, message).await;
    }
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

/// What was agreed upon is stored, and that is all that is left of it.
#[tokio::test]
async fn an_agreement_goes_on_over_the_next_connection_and_in_the_next_daemon() {
    let world = impatient().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    session.line.keys_hang.send_replace(true);
    let message = world.accept(&instance, GROUP, "to all").await;
    world.until_put_off(1).await;
    session
        .tell(SessionEvent::Disconnected {
            reason: "the stream ended".to_owned(),
            blames_wire: false,
        })
        .await;
    let next = daemon.session().await;
    next.line.keys_hang.send_replace(true);
    next.log_in().await;
    world.until_put_off_again(1).await;
    assert_eq!(agreements(&next), 1, "it was begun anew");
    daemon.stop().await;

    let mut daemon = world.daemon("b").await;
    let mut session = daemon.session().await;
    session.log_in().await;
    world.come_back().await;
    takes(&world, &mut session, &instance, message).await;
    world.until_put_off(0).await;
    assert_eq!((agreements(&session), session.sent_besides()), (1, vec![]));
    daemon.stop().await;
}

#[tokio::test]
async fn a_status_to_many_waits_for_their_keys_as_a_message_to_a_group() {
    let world = impatient().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.line.keys_hang.send_replace(true);
    let first = statuses::accept(&world, &instance).await;
    world.until_put_off(1).await;
    world.clock.advance(TimeDelta::milliseconds(1));
    let second = statuses::accept(&world, &instance).await;
    world.until_put_off(2).await;
    assert_eq!(
        session.line.audiences.load(Ordering::Relaxed),
        1,
        "nobody is looked for while the first waits"
    );
    let beside = statuses::neighbour_of(&instance, &Recipient::Status);
    let text = world.accept(&instance, &beside, "meanwhile").await;
    takes(&world, &mut session, &instance, text).await;
    session.line.keys_hang.send_replace(false);
    world.come_back().await;
    for status in [first, second] {
        takes(&world, &mut session, &instance, status).await;
    }
    world.until_put_off(0).await;
    assert_eq!(
        session.line.audiences.load(Ordering::Relaxed),
        3,
        "they are found anew"
    );
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

/// Its sender's URL may be good for one request.
#[tokio::test]
async fn a_file_to_many_is_fetched_once_however_long_their_keys_take() {
    let mut world = World::of_files().await;
    world.keys_patience = Duration::ZERO;
    let host = Host::answering(THERE).await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.line.keys_hang.send_replace(true);
    let files = [
        world.accept_file(&instance, GROUP, &host.url).await,
        statuses::accept_of(&world, &instance, document(&host.url)).await,
    ];
    world.until_put_off(2).await;
    for _ in 0..2 {
        world.until_put_off_again(2).await;
    }
    assert_eq!(host.asked(), 0, "nothing is fetched before the keys are there");
    session.line.keys_hang.send_replace(false);
    world.come_back().await;
    for _ in files {
        let sent = session.sent().await.message;
        assert!(files.contains(&sent));
        session.acknowledge(sent, None).await;
        world.until_state(&instance, sent, State::Sent).await;
    }
    assert_eq!(
        (host.asked(), session.line.uploads.load(Ordering::Relaxed)),
        (2, 2)
    );
    world.until_put_off(0).await;
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

#[tokio::test]
async fn a_message_that_is_tried_again_stays_before_those_behind_it() {
    let world = impatient().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.line.keys_hang.send_replace(true);
    let mut to_group = Vec::new();
    for n in 1..=3 {
        to_group.push(world.accept(&instance, GROUP, "to all").await);
        world.until_put_off(n).await;
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    session.line.keys_hang.send_replace(false);
    world.come_back().await;
    assert_eq!(session.sent().await.message, to_group[0]);
    session.acknowledge(to_group[0], Some(503)).await;
    for message in &to_group {
        takes(&world, &mut session, &instance, *message).await;
    }
    world.until_put_off(0).await;
    let counts = world.until_counted(&instance, |counts| counts.ended == 3).await;
    assert_eq!((counts.put_off, counts.back), (3, 3), "each once");
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}

/// Nothing is agreed upon for them before the wire, however long it takes to find out how many they are.
#[tokio::test]
async fn a_message_to_a_small_group_stays_in_its_lane() {
    let world = impatient().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.line.are_few.store(true, Ordering::Relaxed);
    session
        .line
        .count_refusals
        .lock()
        .expect("no holder panics")
        .push(SendError::Unavailable("later".into()));
    session.line.keys_hang.send_replace(true);
    let message = world.accept(&instance, GROUP, "to all").await;
    takes(&world, &mut session, &instance, message).await;
    let record = world.until_state(&instance, message, State::Sent).await;
    assert_eq!(record.put_off_at, None);
    assert_eq!((agreements(&session), session.sent_besides()), (0, vec![]));
    daemon.stop().await;
}
