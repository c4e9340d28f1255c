//! From a job to its stored state.

use chrono::TimeDelta;
use daemon::connection::{ReceiptKind, SendError, SessionEvent};
use shared::domain::content::Content;
use shared::domain::instance::{Status, Wanted};
use shared::domain::job::Job;
use shared::domain::message::{FailureCode, Kind, State};
use shared::domain::payload::{self, Payload as _};
use shared::domain::shard::lane;
use shared::queue::Queue as _;
use shared::storage::counters::Counts;
use shared::storage::keys;
use std::time::Duration;

use crate::world::World;

const ALICE: &str = "15550100001";

fn sent(count: u64) -> Counts {
    Counts {
        sent: count,
        sent_by_kind: [(Kind::Text, count)].into(),
        ended: count,
        ..Counts::default()
    }
}

#[tokio::test]
async fn a_chat_keeps_its_order_and_holds_up_no_other() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let to = |number: &str| number.parse().expect("a number");
    let bob = (2..99)
        .map(|n| format!("155501000{n:02}"))
        .find(|number| lane(instance.id, &to(number)) != lane(instance.id, &to(ALICE)))
        .expect("another lane");
    let first = world.accept(&instance, ALICE, "one").await;
    let second = world.accept(&instance, ALICE, "two").await;
    assert_eq!(session.sent().await.message, first);
    let other = world.accept(&instance, &bob, "other").await;
    assert_eq!(session.sent().await.message, other, "another lane goes on");
    session.acknowledge(other, None).await;
    world.until_state(&instance, other, State::Sent).await;
    assert_eq!(session.sent_besides(), [], "the first is not acknowledged");

    session.acknowledge(first, None).await;
    let next = session.sent().await;
    assert_eq!((next.message, next.content), (second, Content::text("two")));
    let record = world.until_state(&instance, first, State::Sent).await;
    assert_eq!(record.sent_at, Some(world.now()));
    session.acknowledge(second, None).await;
    world.until_no_sends().await;
    let counts = world.until_counted(&instance, |counts| counts.sent == 3).await;
    assert_eq!(counts, sent(3));
}

#[tokio::test]
async fn a_refusal_is_a_failure_with_its_code() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let restricted = world.accept(&instance, ALICE, "new here").await;
    // What this side can do about it is done once.
    for _ in 0..2 {
        assert_eq!(session.sent().await.message, restricted);
        session.acknowledge(restricted, Some(463)).await;
    }
    let record = world.until_state(&instance, restricted, State::Failed).await;
    assert_eq!(session.refreshed(), [ALICE.parse().expect("a number")]);
    let failure = record.failure.expect("a failure");
    assert_eq!(
        (failure.code.as_str(), failure.retryable),
        ("TRUST_TOKEN_MISSING", false)
    );
    assert_eq!(record.sent_at, None);

    session.refuse_next(SendError::Refused(FailureCode::RecipientNotOnWhatsapp));
    let unknown = world.accept(&instance, ALICE, "anyone?").await;
    let record = world.until_state(&instance, unknown, State::Failed).await;
    let failure = record.failure.expect("a failure");
    assert_eq!(
        (failure.code.as_str(), failure.retryable),
        ("RECIPIENT_NOT_ON_WHATSAPP", false)
    );
    world.until_no_sends().await;
    let counts = world.until_counted(&instance, |counts| counts.failed == 2).await;
    let failed = Counts {
        failed: 2,
        ended: 2,
        ..Counts::default()
    };
    assert_eq!(counts, failed);
    assert_eq!(session.sent_besides(), []);
}

#[tokio::test]
async fn a_receipt_before_the_acknowledgement_counts_for_both() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world.accept(&instance, ALICE, "quick").await;
    assert_eq!(session.sent().await.message, message);
    session
        .receipt(message, ReceiptKind::Delivered, world.now())
        .await;
    let record = world.until_state(&instance, message, State::Delivered).await;
    assert_eq!(record.sent_at, record.delivered_at);
    assert!(record.sent_at.is_some());
    session.acknowledge(message, None).await;
    world.until_no_sends().await;
    let late = world.messages.get(instance.id, message).await.expect("read");
    assert_eq!(late.expect("a record").state, State::Delivered, "never backwards");

    world.clock.advance(TimeDelta::minutes(1));
    session.receipt(message, ReceiptKind::Read, world.now()).await;
    let record = world.until_state(&instance, message, State::Read).await;
    assert_eq!(record.read_at, Some(world.now()));
    let counts = world.until_counted(&instance, |counts| counts.read == 1).await;
    let all = Counts {
        delivered: 1,
        read: 1,
        ..sent(1)
    };
    assert_eq!(counts, all);
}

#[tokio::test]
async fn what_has_run_out_is_not_sent() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut job = world.job(&instance, ALICE, "too late").await;
    job.expires_at = world.now() - TimeDelta::milliseconds(1);
    world.record(&job).await;
    world.enqueue(&instance, &job).await;
    let record = world.until_state(&instance, job.message, State::Expired).await;
    assert_eq!(record.failure.expect("a reason").code, "EXPIRED");

    world.want(&instance, Wanted::Disconnected).await;
    world.until_status(&instance, Status::Disconnected).await;
    let mut job = world.job(&instance, ALICE, "waits in vain").await;
    job.expires_at = world.now() + TimeDelta::milliseconds(300);
    world.record(&job).await;
    world.enqueue(&instance, &job).await;
    world.until_state(&instance, job.message, State::Expired).await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
    world.until_counted(&instance, |counts| counts.failed == 2).await;
}

#[tokio::test]
async fn jobs_of_a_deleted_instance_are_dropped() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world
        .table
        .client()
        .delete_item()
        .table_name(world.table.name())
        .set_key(Some(keys::instance(instance.id).attributes()))
        .send()
        .await
        .expect("deleted");
    world.nudge_and_wait(&instance).await;
    testbed::wait::in_time("its connection's end", session.line.disconnected.cancelled()).await;
    let message = world.accept(&instance, ALICE, "to nobody").await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
    let record = world.messages.get(instance.id, message).await.expect("read");
    assert_eq!(record.expect("left as it was").state, State::Queued);
    assert_eq!(world.taken(&world.names.dead_fifo()).await, []);
}

#[tokio::test]
async fn a_malformed_job_is_parked_with_its_reason_and_its_lane_goes_on() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut unopenable = world.job(&instance, ALICE, "sealed for another").await;
    unopenable.content = world.job(&instance, ALICE, "another").await.content;
    let good = world.job(&instance, ALICE, "fine").await;
    world
        .enqueue_raw(
            &instance,
            &good.to,
            r#"{"v":1,"type":"dance"}"#.to_owned(),
            "malformed",
        )
        .await;
    world.enqueue(&instance, &unopenable).await;
    world.enqueue(&instance, &good).await;
    assert_eq!(session.sent().await.message, good.message);
    session.acknowledge(good.message, None).await;
    world.until_no_sends().await;

    let parked = world.taken(&world.names.dead_fifo()).await;
    let parked: Vec<serde_json::Value> = parked
        .iter()
        .map(|message| serde_json::from_str(&message.body).expect("JSON"))
        .collect();
    assert_eq!(parked.len(), 2);
    assert_eq!(parked[0]["body"], r#"{"v":1,"type":"dance"}"#);
    assert_eq!(parked[0]["queue"], world.names.sends(0).as_str());
    let reason = parked[0]["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("malformed") && reason.contains("dance"),
        "{reason}"
    );
    assert_eq!(parked[1]["reason"], "the sealed value does not open here");
    assert_eq!(parked[1]["body"], payload::encode(&Job::Send(unopenable.clone())));
    let record = world.messages.get(instance.id, unopenable.message).await;
    let record = record.expect("read").expect("its sender is told");
    assert_eq!(record.state, State::Failed);
    assert_eq!(record.failure.expect("why").code, "UNPROCESSABLE");
}

#[tokio::test]
async fn a_job_of_a_newer_version_is_left() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let to = ALICE.parse().expect("a number");
    let newer = format!(r#"{{"v":{},"type":"dance"}}"#, Job::READS + 1);
    world.enqueue_raw(&instance, &to, newer, "newer").await;
    let queue = world.names.sends(0);
    testbed::wait::until("the job's hiding", async || {
        world
            .queue
            .was_hidden_for(&queue, Duration::from_mins(1))
            .then_some(())
    })
    .await;
    testbed::wait::until("its place out of sight", async || {
        let depth = world.queue.depth(&queue).await.expect("read");
        ((depth.visible, depth.in_flight) == (0, 1)).then_some(())
    })
    .await;
    assert_eq!(world.taken(&world.names.dead_fifo()).await, []);
    assert_eq!(session.sent_besides(), []);
}

#[tokio::test]
async fn a_record_that_was_never_made_is_made_from_the_job() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let job = world.job(&instance, ALICE, "no record").await;
    world.enqueue(&instance, &job).await;
    assert_eq!(session.sent().await.message, job.message);
    session.acknowledge(job.message, None).await;
    let record = world.until_state(&instance, job.message, State::Sent).await;
    assert_eq!(record.reference, job.reference);
    assert_eq!(record.chat, job.to);
    assert_eq!(record.created_at, job.accepted_at);
    assert_eq!(record.sent_at, Some(world.now()));
    world.until_no_sends().await;
    let counts = world.until_counted(&instance, |counts| counts.sent == 1).await;
    assert_eq!(counts, sent(1));
}

#[tokio::test]
async fn a_job_that_comes_again_is_not_sent_again() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let job = world.job(&instance, ALICE, "once").await;
    world.record(&job).await;
    world.enqueue(&instance, &job).await;
    assert_eq!(session.sent().await.message, job.message);
    session.acknowledge(job.message, None).await;
    world.until_no_sends().await;
    let body = payload::encode(&Job::Send(job.clone()));
    world
        .enqueue_raw(&instance, &job.to, body, "past-the-memory-of-the-queue")
        .await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
    assert_eq!(world.counts(&instance).await, sent(1));
}

/// A job is hidden for 5 s where its record is in the way.
#[tokio::test]
async fn a_record_that_this_version_cannot_read_costs_no_message() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    for (name, unknown, known) in [
        ("state", "levitating", "queued"),
        ("createdAt", "noon", "2026-01-01T00:00:00.000Z"),
    ] {
        let job = world.job(&instance, ALICE, "patience").await;
        world.record(&job).await;
        let key = || keys::message(instance.id, job.message);
        world.store_text(key(), name, unknown).await;
        world.enqueue(&instance, &job).await;
        let other = (2..99)
            .map(|n| format!("155501000{n:02}"))
            .find(|other| lane(instance.id, &other.parse().expect("a number")) != lane(instance.id, &job.to))
            .expect("eight lanes");
        let other = world.accept(&instance, &other, "meanwhile").await;
        assert_eq!(session.sent().await.message, other);
        session.acknowledge(other, None).await;
        world.until_state(&instance, other, State::Sent).await;
        let listed = world.messages.list(instance.id, None, 10).await.expect("listed");
        assert!(
            listed.iter().any(|record| record.id == other),
            "one item costs a list itself alone"
        );
        world.store_text(key(), name, known).await;
        assert_eq!(session.sent().await.message, job.message);
        session.acknowledge(job.message, None).await;
        world.until_state(&instance, job.message, State::Sent).await;
    }
    world.until_no_sends().await;
    assert_eq!(world.taken(&world.names.dead_fifo()).await, []);
}

/// Its record is read again after a pause: what was read before that is old by then.
#[tokio::test]
async fn a_message_that_is_taken_back_while_it_waits_does_not_go_out() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world.accept(&instance, ALICE, "never mind").await;
    assert_eq!(session.sent().await.message, message);
    session.refuse_next(SendError::Throttled {
        after: Some(Duration::from_secs(15)),
        source: "429".into(),
    });
    session.acknowledge(message, Some(429)).await;
    session.refused().await;
    world.take_back(&instance, message).await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
    let record = world.until_state(&instance, message, State::Failed).await;
    assert_eq!(record.failure.expect("why").code, "NOT_ACCEPTED");
}

#[tokio::test]
async fn an_acknowledgement_overrules_that_a_message_was_taken_back() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world.accept(&instance, ALICE, "on its way").await;
    assert_eq!(session.sent().await.message, message);
    world.take_back(&instance, message).await;
    session.acknowledge(message, None).await;
    let record = world.until_state(&instance, message, State::Sent).await;
    assert_eq!(record.failure, None);
    assert!(record.sent_at.is_some());
    world.until_no_sends().await;
}

/// The server has 20 s to answer, and the pause before the second attempt is 2 s.
#[tokio::test]
async fn an_unanswered_message_goes_out_again_under_its_id() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world.accept(&instance, ALICE, "anyone there?").await;
    let first = session.sent().await;
    assert_eq!(first.message, message);
    assert_eq!(session.sent().await, first);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
    world.until_counted(&instance, |counts| counts.sent == 1).await;
}

#[tokio::test]
async fn a_message_on_a_line_that_breaks_goes_out_on_the_next() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.refuse_next(SendError::NotConnected);
    let message = world.accept(&instance, ALICE, "through the storm").await;
    let first = session.sent().await;
    assert_eq!(first.message, message, "the same line stood again");
    session
        .tell(SessionEvent::Disconnected {
            reason: "the stream ended".to_owned(),
            blames_wire: true,
        })
        .await;
    let mut next = daemon.session().await;
    assert_eq!(next.sent_besides(), [], "not before the login");
    next.log_in().await;
    assert_eq!(next.sent().await, first);
    next.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    world.until_no_sends().await;
    world.until_counted(&instance, |counts| counts.sent == 1).await;
}
