//! How connections end, and what comes after.

use chrono::{DateTime, TimeDelta, Utc};
use daemon::connection::SessionEvent;
use daemon::stop::{Answer, Course};
use shared::domain::content::Content;
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::message::State;
use testbed::wait::{in_time, until};

use crate::daemons::Daemon;
use crate::network::{Playing, stopped, unlinked};
use crate::world::World;

fn lost() -> SessionEvent {
    SessionEvent::Disconnected {
        reason: "the stream ended".to_owned(),
        blames_wire: true,
    }
}

#[tokio::test]
async fn an_unlinked_instance_loses_its_account_and_its_keys() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.linked(&mut daemon).await;
    session.tell(unlinked("unlinked on the phone")).await;
    let ended = world.until_status(&instance, Status::LoggedOut).await;
    assert_eq!(ended.account, None);
    assert_eq!(ended.observed.reason.as_deref(), Some("LOGGED_OUT"));
    assert_eq!(
        ended.observed.last_error.as_deref(),
        Some("unlinked on the phone")
    );
    assert_eq!(session.state.get("identity").await.expect("read"), None);
    assert!(session.line.disconnected.is_cancelled());

    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another(), "only a new request pairs again");
    world.want(&instance, Wanted::Connected).await;
    let session = daemon.session().await;
    assert_eq!(session.state.scan("").await.expect("read"), []);
    world.until_status(&instance, Status::Connecting).await;
}

#[tokio::test]
async fn a_lost_or_replaced_connection_is_made_again() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    for (event, why) in [
        (lost(), "the stream ended"),
        (stopped(Answer::Return(Course::Replaced), "replaced"), "replaced"),
    ] {
        session.tell(event).await;
        let dropped = world.until_status(&instance, Status::Reconnecting).await;
        assert_eq!(dropped.observed.last_error.as_deref(), Some(why));
        assert!(dropped.account.is_some());
        let next = daemon.session().await;
        assert_eq!(
            world.load(&instance).await.observed.status,
            Status::Reconnecting,
            "a connection is not yet a login"
        );
        next.log_in().await;
        let connected = world.until_status(&instance, Status::Connected).await;
        assert_eq!(connected.observed.last_error, None);
        session = next;
    }
}

/// Probes go out every 18 s.
#[tokio::test]
async fn a_connection_without_a_round_trip_is_made_again() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    daemon.network.set_answers_probes(false);
    let dropped = world.until_status(&instance, Status::Reconnecting).await;
    let error = dropped.observed.last_error.expect("an error");
    assert_eq!(error, "no round trip: no answer in time");
    in_time("the orderly end", session.line.disconnected.cancelled()).await;
    let next = daemon.session().await;
    next.log_in().await;
    world.until_status(&instance, Status::Connected).await;
}

#[tokio::test]
async fn messages_of_a_disconnected_instance_wait_and_go_out_in_order() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.want(&instance, Wanted::Disconnected).await;
    let resting = world.until_status(&instance, Status::Disconnected).await;
    assert_eq!(resting.observed.generation, 2);
    assert_eq!(resting.observed.reason.as_deref(), Some("DISCONNECT_REQUESTED"));
    assert!(resting.account.is_some());
    assert!(session.line.disconnected.is_cancelled(), "in order");
    assert!(!session.line.abandoned.is_cancelled());

    let mut messages = Vec::new();
    for n in 0..5 {
        messages.push(world.accept(&instance, "15550100001", &format!("text {n}")).await);
    }
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another(), "it is not wanted connected");
    for message in &messages {
        world.until_state(&instance, *message, State::Queued).await;
    }

    world.want(&instance, Wanted::Connected).await;
    let mut session = daemon.session().await;
    session.log_in().await;
    for (n, message) in messages.iter().enumerate() {
        let sent = session.sent().await;
        assert_eq!(
            (sent.message, sent.content),
            (*message, Content::text(format!("text {n}")))
        );
        assert_eq!(
            session.sent_besides(),
            [],
            "the next waits for the acknowledgement"
        );
        session.acknowledge(*message, None).await;
        world.until_state(&instance, *message, State::Sent).await;
    }
    world.until_no_sends().await;
    world.until_counted(&instance, |counts| counts.sent == 5).await;
}

#[tokio::test]
async fn a_restart_ends_the_connection_and_makes_another() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let restarted = world.instances.want_restart(instance.id).await;
    let restarted = restarted.expect("stored").expect("there");
    world.nudge(&instance).await;
    in_time("the orderly end", session.line.disconnected.cancelled()).await;
    assert!(!session.line.abandoned.is_cancelled());
    let next = daemon.session().await;
    next.log_in().await;
    let connected = world.until_status(&instance, Status::Connected).await;
    assert_eq!(connected.observed.generation, restarted.generation);
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another(), "one restart is one restart");
    assert!(!next.line.disconnected.is_cancelled());
}

/// A connected instance whose last round trip is later than its login: the beat tells of it, and
/// `/status` with the beat.
async fn probed(world: &World, daemon: &mut Daemon) -> (Instance, Playing, DateTime<Utc>) {
    let (instance, session) = world.connected(daemon).await;
    assert_eq!(instance.observed.last_round_trip_at, Some(world.now()));
    world.clock.advance(TimeDelta::seconds(30));
    let seen = world.now();
    until("a round trip in the beat", async || {
        let beat = world.leases.get_beat("a").await.expect("read")?;
        (beat.round_trips_since == Some(seen)).then_some(())
    })
    .await;
    (instance, session, seen)
}

#[tokio::test]
async fn the_last_round_trip_does_not_go_back_when_the_connection_is_lost() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session, seen) = probed(&world, &mut daemon).await;
    session.tell(lost()).await;
    let ended = world.until_status(&instance, Status::Reconnecting).await;
    assert_eq!(ended.observed.last_round_trip_at, Some(seen));
}

#[tokio::test]
async fn nor_does_it_when_its_owner_disconnects_it() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session, seen) = probed(&world, &mut daemon).await;
    world.want(&instance, Wanted::Disconnected).await;
    let ended = world.until_status(&instance, Status::Disconnected).await;
    assert_eq!(ended.observed.last_round_trip_at, Some(seen));
}

#[tokio::test]
async fn nor_does_it_when_the_shard_is_handed_over() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session, seen) = probed(&world, &mut daemon).await;
    daemon.stop().await;
    let handed_over = world.load(&instance).await;
    assert_eq!(handed_over.observed.last_round_trip_at, Some(seen));
}
