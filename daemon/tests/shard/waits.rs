//! What passes is waited for, what is proven fails at once, and neither harms others.

use std::time::Duration;

use chrono::TimeDelta;
use daemon::connection::{ReceiptKind, SendError, SessionEvent};
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::message::{Failure, FailureCode, MessageRecord, State};
use shared::domain::shard::lane;
use shared::ids::MessageId;
use shared::queue::{Queue as _, ReceiveOptions};
use tokio::time::Instant;

use crate::network::Playing;
use crate::world::World;

const ALICE: &str = "15550100001";
const GROUP: &str = "120363021033254949@g.us";

/// A number in the lane of [`ALICE`], or in another.
fn number(instance: &Instance, in_her_lane: bool) -> String {
    let of = |number: &str| lane(instance.id, &number.parse().expect("a number"));
    (2..999)
        .map(|n| format!("15550100{n:03}"))
        .find(|number| (of(number) == of(ALICE)) == in_her_lane)
        .expect("there are eight lanes")
}

fn told(record: &MessageRecord) -> (&str, bool) {
    let failure = record.failure.as_ref().expect("a failure");
    (&failure.code, failure.retryable)
}

async fn drop_line(session: &Playing) {
    let reason = "the stream ended".to_owned();
    session
        .tell(SessionEvent::Disconnected {
            reason,
            blames_wire: true,
        })
        .await;
}

impl World {
    /// Takes a job as a daemon does that ends a moment later.
    async fn receive_and_drop(&self) {
        let options = ReceiveOptions {
            max: 10,
            wait: Duration::from_secs(1),
            visibility: Duration::from_secs(1),
        };
        let queue = self.names.sends(0);
        let received = self.queue.receive(&queue, options).await.expect("read");
        assert_eq!(received.len(), 1);
    }

    /// A text that has this long to be sent.
    pub async fn accept_for(&self, instance: &Instance, to: &str, time: TimeDelta) -> MessageId {
        let mut job = self.job(instance, to, "soon or never").await;
        job.expires_at = self.now() + time;
        self.record(&job).await;
        self.enqueue(instance, &job).await;
        job.message
    }
}

/// The pause after a 429 is 2 s, shortened by a quarter at most.
#[tokio::test]
async fn a_rate_limit_slows_every_lane_of_the_instance_and_loses_nothing() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let limited = world.accept(&instance, ALICE, "one too many").await;
    assert_eq!(session.sent().await.message, limited);
    session.acknowledge(limited, Some(429)).await;
    let refused_at = Instant::now();
    let other = world
        .accept(&instance, &number(&instance, false), "another lane")
        .await;
    let first = session.sent().await.message;
    assert!(
        refused_at.elapsed() >= Duration::from_millis(1_400),
        "it waits too"
    );
    assert_eq!(session.sent_besides(), [], "one finds out for all");
    session.acknowledge(first, None).await;
    let second = session.sent().await.message;
    session.acknowledge(second, None).await;
    for message in [limited, other] {
        assert!([first, second].contains(&message));
        world.until_state(&instance, message, State::Sent).await;
    }
    world.until_no_sends().await;
}

#[tokio::test]
async fn what_may_pass_is_sent_again() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    // An error that nobody knows waits too.
    for error in [479, 503, 418] {
        let message = world.accept(&instance, ALICE, "at second try").await;
        assert_eq!(session.sent().await.message, message);
        session.acknowledge(message, Some(error)).await;
        assert_eq!(session.sent().await.message, message, "{error}");
        session.acknowledge(message, None).await;
        world.until_state(&instance, message, State::Sent).await;
    }
    let after = Some(Duration::from_millis(10));
    let source = || "no".into();
    for error in [
        SendError::Throttled {
            after,
            source: source(),
        },
        SendError::Unavailable(source()),
        SendError::Failed(source()),
        SendError::State(source()),
    ] {
        session.refuse_next(error);
        let message = world.accept(&instance, ALICE, "at second try").await;
        assert_eq!(session.sent().await.message, message);
        session.acknowledge(message, None).await;
        world.until_state(&instance, message, State::Sent).await;
    }
    world.until_no_sends().await;
    let counts = world.until_counted(&instance, |counts| counts.sent == 7).await;
    assert_eq!(counts.failed, 0);
}

#[tokio::test]
async fn what_waits_until_its_time_runs_out_says_for_what() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let time = TimeDelta::hours(1);
    let limited = world.accept_for(&instance, ALICE, time).await;
    assert_eq!(session.sent().await.message, limited);
    session.acknowledge(limited, Some(429)).await;
    world.clock.advance(time);
    let record = world.until_state(&instance, limited, State::Expired).await;
    assert_eq!(
        told(&record),
        ("RATE_OVERLIMIT", true),
        "it was refused each time"
    );
    world.until_no_sends().await;
}

#[tokio::test]
async fn what_was_on_the_wire_does_not_expire_and_a_receipt_overrules_our_guess() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let time = TimeDelta::hours(1);
    let message = world.accept_for(&instance, ALICE, time).await;
    assert_eq!(session.sent().await.message, message);
    world.clock.advance(time);
    drop_line(&session).await;
    let next = daemon.session().await;
    let record = world.until_state(&instance, message, State::Failed).await;
    assert_eq!(told(&record), ("NO_ACKNOWLEDGEMENT", false));
    assert_eq!(record.sent_at, None);

    next.log_in().await;
    next.receipt(message, ReceiptKind::Delivered, world.now()).await;
    let record = world.until_state(&instance, message, State::Delivered).await;
    assert_eq!(record.failure, None, "it has arrived");
    assert!(record.sent_at.is_some() && record.delivered_at.is_some());
    next.receipt(message, ReceiptKind::Read, world.now()).await;
    world.until_state(&instance, message, State::Read).await;
    world.until_no_sends().await;
    let counts = world.until_counted(&instance, |counts| counts.read == 1).await;
    assert_eq!((counts.sent, counts.delivered, counts.ended), (1, 1, 1));
}

/// Another process had it in hand: nobody knows whether it went out.
#[tokio::test]
async fn a_job_that_was_received_before_does_not_ask_to_be_sent_again() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    world.want(&instance, Wanted::Disconnected).await;
    let message = world.accept_for(&instance, ALICE, TimeDelta::seconds(-1)).await;
    world.receive_and_drop().await;
    let _daemon = world.daemon("a").await;
    let record = world.until_state(&instance, message, State::Expired).await;
    assert_eq!(told(&record), ("EXPIRED", false));
}

/// There was no connection since before it was accepted, so no process can have sent it.
#[tokio::test]
async fn a_job_that_was_received_before_while_nothing_was_connected_may_be_sent_again() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    world.want(&instance, Wanted::Disconnected).await;
    world.clock.advance(TimeDelta::minutes(2));
    let message = world.accept_for(&instance, ALICE, TimeDelta::seconds(-1)).await;
    world.receive_and_drop().await;
    let _daemon = world.daemon("a").await;
    let record = world.until_state(&instance, message, State::Expired).await;
    assert_eq!(told(&record), ("EXPIRED", true));
}

#[tokio::test]
async fn a_group_that_is_not_ours_fails_at_once_and_its_lane_goes_on() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    for code in [FailureCode::GroupNotFound, FailureCode::NotAMember] {
        session.refuse_next(SendError::Refused(code));
        let message = world.accept(&instance, GROUP, "anyone?").await;
        let record = world.until_state(&instance, message, State::Failed).await;
        assert_eq!(told(&record), (code.as_str(), false));
    }
    // It was in the group when the library asked, and is not any more.
    session.explain_next(Some(Failure::of(FailureCode::NotAMember)));
    let removed = world.accept(&instance, GROUP, "still here?").await;
    assert_eq!(session.sent().await.message, removed);
    session.acknowledge(removed, Some(403)).await;
    let record = world.until_state(&instance, removed, State::Failed).await;
    assert_eq!(told(&record), ("NOT_A_MEMBER", false));
    let gone = world.accept(&instance, GROUP, "hello?").await;
    assert_eq!(session.sent().await.message, gone);
    session.acknowledge(gone, Some(404)).await;
    let record = world.until_state(&instance, gone, State::Failed).await;
    assert_eq!(told(&record), ("GROUP_NOT_FOUND", false));
    assert_eq!(session.sent_besides(), [], "none was tried again");
}

#[tokio::test]
async fn a_pause_of_one_chat_is_its_own() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    // All are received together, in one lane.
    let pauses = world.accept(&instance, ALICE, "first").await;
    let behind = world.accept(&instance, ALICE, "second").await;
    let bob = number(&instance, true);
    let neighbour = world.accept(&instance, &bob, "another chat").await;
    let behind_it = world.accept(&instance, &bob, "and again").await;
    let mut neighbours = vec![behind_it, neighbour];
    let mut daemon = world.daemon("a").await;
    let mut session = daemon.session().await;
    session.log_in().await;
    // Either chat may come first.
    let mut sent = session.sent().await.message;
    while sent != pauses {
        assert_eq!(Some(sent), neighbours.pop());
        session.acknowledge(sent, None).await;
        sent = session.sent().await.message;
    }
    session.acknowledge(pauses, Some(479)).await;
    if let Some(neighbour) = neighbours.pop() {
        assert_eq!(session.sent().await.message, neighbour, "it is not waited for");
        session.acknowledge(neighbour, None).await;
        world.until_state(&instance, neighbour, State::Sent).await;
    }
    let mut own = vec![behind, pauses];
    while !(own.is_empty() && neighbours.is_empty()) {
        let sent = session.sent().await.message;
        let chat = if own.contains(&sent) {
            &mut own
        } else {
            &mut neighbours
        };
        assert_eq!(chat.pop(), Some(sent), "each chat keeps its order");
        session.acknowledge(sent, None).await;
    }
    world.until_state(&instance, behind, State::Sent).await;
    world.until_no_sends().await;
}

#[tokio::test]
async fn whatsapp_is_asked_what_stands_behind_a_refusal() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let untrusted = world.accept(&instance, ALICE, "new here").await;
    for _ in 0..2 {
        assert_eq!(session.sent().await.message, untrusted);
        session.acknowledge(untrusted, Some(463)).await;
    }
    let record = world.until_state(&instance, untrusted, State::Failed).await;
    assert_eq!(told(&record), ("TRUST_TOKEN_MISSING", false));

    // What the server takes for a stale list is a number that is not there.
    session.explain_next(Some(Failure::of(FailureCode::RecipientNotOnWhatsapp)));
    let nobody = world.accept(&instance, ALICE, "anyone?").await;
    assert_eq!(session.sent().await.message, nobody);
    session.acknowledge(nobody, Some(479)).await;
    let record = world.until_state(&instance, nobody, State::Failed).await;
    assert_eq!(told(&record), ("RECIPIENT_NOT_ON_WHATSAPP", false));
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
}

/// An instance that waits for its session holds up nothing: jobs expire in their time.
#[tokio::test]
async fn what_waits_behind_another_expires_in_its_own_time() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    let _first = world.accept(&instance, ALICE, "has time").await;
    let other = number(&instance, true);
    let hasty = world.accept_for(&instance, &other, TimeDelta::seconds(1)).await;
    let mut daemon = world.daemon("a").await;
    let _session = daemon.session().await;
    world.until_status(&instance, Status::Connecting).await;
    let record = world.until_state(&instance, hasty, State::Expired).await;
    assert_eq!(told(&record), ("EXPIRED", true));
}

/// The server's lists of devices are empty at times, and keys away: a few looks within seconds prove nothing.
#[tokio::test]
async fn a_recipient_who_is_without_a_device_for_a_moment_is_waited_for() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    for _ in 0..4 {
        session.refuse_next(SendError::Failed("no keys".into()));
        session.explain_next(Some(Failure::of(FailureCode::NoRecipientDevice)));
    }
    let message = world.accept(&instance, ALICE, "are you there?").await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    let record = world.until_state(&instance, message, State::Sent).await;
    assert_eq!(record.failure, None);
}

/// A message that ran out of time behind its recipient's keys says so.
#[tokio::test]
async fn a_message_whose_time_runs_out_without_a_device_of_its_recipient_tells_that() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    session.refuse_next(SendError::Failed("no keys".into()));
    session.explain_next(Some(Failure::of(FailureCode::NoRecipientDevice)));
    let time = TimeDelta::hours(1);
    let message = world.accept_for(&instance, ALICE, time).await;
    session.refused().await;
    world.clock.advance(time);
    let record = world.until_state(&instance, message, State::Expired).await;
    assert_eq!(told(&record), ("NO_RECIPIENT_DEVICE", true));
}

/// The questions before the wire take longer than an acknowledgement may: the session knows that nothing is out.
#[tokio::test]
async fn a_message_that_ends_late_before_the_wire_is_not_taken_for_one_that_may_be_out() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    session.refuse_after(Duration::from_secs(21));
    session.refuse_next(SendError::Unavailable("no answer about the group".into()));
    // Its time runs out meanwhile.
    let time = TimeDelta::hours(1);
    let message = world.accept_for(&instance, GROUP, time).await;
    session.refused().await;
    world.clock.advance(time);
    let record = world.until_state(&instance, message, State::Expired).await;
    assert_eq!(told(&record), ("EXPIRED", true));
}
