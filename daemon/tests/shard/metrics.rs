//! What a daemon counts of itself, as `/metrics` tells it.

use std::sync::Arc;

use daemon::connection::SessionEvent;
use daemon::stop::{Answer, Course};
use daemon::web::metrics::{Metrics, Parts};
use shared::domain::instance::Status;
use shared::domain::message::State;
use testbed::wait::until;

use crate::daemons::Daemon;
use crate::network::{stopped, unlinked};
use crate::world::{NETWORK, World};

const ALICE: &str = "15550100001";

impl World {
    /// The metrics of this daemon.
    fn metrics(&self, daemon: &Daemon) -> Metrics {
        Metrics::new(Parts {
            meter: Arc::clone(&daemon.deps.meter),
            round_trips: Arc::clone(&daemon.deps.round_trips),
            events: daemon.deps.announcer.events().clone(),
            holding: daemon.holding.clone(),
            shards: self.shards,
            prefix: self.names.prefix().to_owned(),
            network: NETWORK,
            clock: Arc::new(self.clock.clone()),
            realtime: None,
        })
    }
}

/// The number of this sample.
fn number(metrics: &Metrics, sample: &str) -> f64 {
    let page = metrics.text().expect("a page");
    let found = page.lines().find_map(|line| {
        let (name, number) = line.rsplit_once(' ')?;
        (name == sample).then(|| number.parse().expect("a number"))
    });
    found.unwrap_or_else(|| panic!("no {sample} in\n{page}"))
}

/// Waits until this sample has this number. All of them are whole.
async fn until_number(metrics: &Metrics, sample: &str, wanted: u32) {
    until(&format!("{sample} {wanted}"), async || {
        let is_there = (number(metrics, sample) - f64::from(wanted)).abs() < 0.5;
        is_there.then_some(())
    })
    .await;
}

#[tokio::test]
async fn counters_move_when_a_message_is_sent_and_when_one_fails() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let metrics = world.metrics(&daemon);
    until_number(&metrics, "waxwing_shards_held", 1).await;
    until_number(&metrics, "waxwing_sessions_held", 1).await;
    until_number(&metrics, "waxwing_sessions{status=\"CONNECTED\"}", 1).await;
    until_number(&metrics, "waxwing_sends_total{outcome=\"sent\"}", 0).await;
    let message = world.accept(&instance, ALICE, "counted").await;
    assert_eq!(session.sent().await.message, message);
    until_number(&metrics, "waxwing_jobs_in_hand", 1).await;
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    world.until_no_sends().await;
    until_number(&metrics, "waxwing_sends_total{outcome=\"sent\"}", 1).await;
    until_number(&metrics, "waxwing_jobs_in_hand", 0).await;
    for sample in [
        "waxwing_send_wait_seconds_count",
        "waxwing_send_acknowledgement_seconds_count",
    ] {
        until_number(&metrics, sample, 1).await;
    }
    let malformed = world.accept(&instance, ALICE, "refused").await;
    assert_eq!(session.sent().await.message, malformed);
    session.acknowledge(malformed, Some(400)).await;
    world.until_state(&instance, malformed, State::Failed).await;
    until_number(&metrics, "waxwing_sends_total{outcome=\"failed\"}", 1).await;
    let failures = "waxwing_send_failures_total{code=\"REFUSED_MALFORMED\"}";
    until_number(&metrics, failures, 1).await;
    // It fails for now, and goes out again.
    let again = world.accept(&instance, ALICE, "again").await;
    assert_eq!(session.sent().await.message, again);
    session.acknowledge(again, Some(503)).await;
    assert_eq!(session.sent().await.message, again);
    until_number(&metrics, "waxwing_send_retries_total{cause=\"refused\"}", 1).await;
    session.acknowledge(again, None).await;
    until_number(&metrics, "waxwing_sends_total{outcome=\"sent\"}", 2).await;
    assert!(
        number(&metrics, "waxwing_lease_age_seconds") < world.lease.as_secs_f64(),
        "it beats"
    );
}

#[tokio::test]
async fn a_job_that_waits_for_its_connection_is_told_apart_from_those_that_are_worked_on() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let metrics = world.metrics(&daemon);
    let lost = SessionEvent::Disconnected {
        reason: "the stream ended".to_owned(),
        blames_wire: false,
    };
    session.tell(lost).await;
    world.until_status(&instance, Status::Reconnecting).await;
    until_number(&metrics, "waxwing_reconnects_total{cause=\"LOST\"}", 1).await;
    world.accept(&instance, ALICE, "waits").await;
    let meter = Arc::clone(&daemon.deps.meter);
    let oldest = || meter.hands.oldest();
    let waiting = until("a job that waits", async || {
        let oldest = oldest();
        oldest.waiting.filter(|_| oldest.working.is_none())
    })
    .await;
    let next = daemon.session().await;
    next.log_in().await;
    until("a job that is worked on", async || {
        (oldest().working == Some(waiting)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sessions_are_counted_by_what_becomes_of_them() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let metrics = world.metrics(&daemon);
    let limited = stopped(Answer::Return(Course::RateLimited), "fewer, please (429)");
    session.tell(limited).await;
    world.until_status(&instance, Status::Reconnecting).await;
    until_number(&metrics, "waxwing_reconnects_total{cause=\"RATE_LIMITED\"}", 1).await;
    until_number(&metrics, "waxwing_sessions_paused{reason=\"RATE_LIMITED\"}", 1).await;
    until_number(&metrics, "waxwing_sessions{status=\"RECONNECTING\"}", 1).await;
    until_number(&metrics, "waxwing_sessions{status=\"CONNECTED\"}", 0).await;
    let meter = Arc::clone(&daemon.deps.meter);
    daemon.stop().await;
    let left: u64 = meter.statuses.all().map(|(_, count)| count).sum();
    let paused: u64 = meter.pauses.all().map(|(_, count)| count).sum();
    assert_eq!((left, paused), (0, 0), "nothing is served any more");
}

#[tokio::test]
async fn a_session_that_ends_for_good_is_counted_by_its_status() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.linked(&mut daemon).await;
    let metrics = world.metrics(&daemon);
    session.tell(unlinked("unlinked on the phone")).await;
    world.until_status(&instance, Status::LoggedOut).await;
    let ended = "waxwing_sessions_ended_total{status=\"LOGGED_OUT\"}";
    until_number(&metrics, ended, 1).await;
    until_number(&metrics, "waxwing_sessions{status=\"LOGGED_OUT\"}", 0).await;
}
