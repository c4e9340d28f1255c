//! What WhatsApp says when it ends a session, and what comes after: nothing, or a pause that
//! whoever holds the shard keeps.

use chrono::TimeDelta;
use daemon::stop::{Answer, Course};
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::reason::Reason;
use testbed::relay::{Fate, On, Relay};
use testbed::wait::{in_time, until};

use crate::network::{account, stopped};
use crate::world::World;

#[tokio::test]
async fn what_ends_for_good_waits_for_a_person() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    for (status, reason) in [
        (Status::Banned, Reason::Banned),
        (Status::Banned, Reason::AccountLocked),
        (Status::ForceDisconnected, Reason::ClientOutdated),
        (Status::ForceDisconnected, Reason::ClientRefused),
        (Status::ForceDisconnected, Reason::LoginRefused),
    ] {
        let said = "WhatsApp does not want it, until 2026-01-01T10:00:00Z";
        session.tell(stopped(Answer::End(status, reason), said)).await;
        let ended = world.until_status(&instance, status).await;
        assert_eq!(ended.observed.reason.as_deref(), Some(reason.as_str()));
        assert_eq!(ended.observed.last_error.as_deref(), Some(said));
        assert!(ended.account.is_some(), "{reason}: it is still linked");
        assert_eq!(ended.observed.pause, None);
        world.nudge_and_wait(&instance).await;
        world.clock.advance(TimeDelta::days(30));
        world.nudge_and_wait(&instance).await;
        assert!(!daemon.has_begun_another(), "{reason}: nobody has asked for it");

        world.want(&instance, Wanted::Connected).await;
        session = daemon.session().await;
        session.log_in().await;
        world.until_status(&instance, Status::Connected).await;
    }
}

async fn until_limited(world: &World, instance: &Instance) -> Instance {
    until("the pause", async || {
        let loaded = world.load(instance).await;
        let limited = loaded.observed.reason.as_deref() == Some("RATE_LIMITED");
        limited.then_some(loaded)
    })
    .await
}

#[tokio::test]
async fn a_rate_limit_is_kept_by_the_next_session_and_the_next_owner() {
    let limit = || stopped(Answer::Return(Course::RateLimited), "fewer, please (429)");
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    session.tell(limit()).await;
    let limited = until_limited(&world, &instance).await.observed;
    assert_eq!(limited.status, Status::Reconnecting);
    assert_eq!(limited.last_error.as_deref(), Some("fewer, please (429)"));
    let pause = limited.pause.expect("a pause");
    assert_eq!((pause.since, pause.strikes), (world.now(), 1));
    assert!(pause.not_before >= world.now() + TimeDelta::minutes(5));

    // Another daemon does not knock either.
    daemon.stop().await;
    let mut daemon = world.daemon("b").await;
    daemon.until_holding(1).await;
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another(), "its predecessor was asked to wait");
    let limited = until_limited(&world, &instance).await.observed;
    assert_eq!(limited.pause.as_ref(), Some(&pause));

    // Nor does a person bring it to knock at once.
    world.want(&instance, Wanted::Connected).await;
    until("the shorter pause", async || {
        let kept = world.load(&instance).await.observed.pause.expect("a pause");
        (kept.not_before == pause.since + TimeDelta::minutes(2)).then_some(())
    })
    .await;
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another(), "two minutes are the least");
    world.clock.advance(TimeDelta::minutes(2));
    world.want(&instance, Wanted::Connected).await;
    let session = daemon.session().await;
    session.log_in().await;
    let connected = world.until_status(&instance, Status::Connected).await.observed;
    assert_eq!((connected.reason, connected.last_error), (None, None));

    // The next one is the longer, whichever daemon it befalls.
    session.tell(limit()).await;
    let pause = until_limited(&world, &instance)
        .await
        .observed
        .pause
        .expect("a pause");
    assert_eq!(pause.strikes, 2);
    assert!(pause.not_before >= world.now() + TimeDelta::minutes(10));
    daemon.stop().await;
    world.clock.advance(TimeDelta::minutes(15));
    let mut daemon = world.daemon("c").await;
    let session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
}

#[tokio::test]
async fn a_request_made_while_nobody_served_shortens_the_pause_too() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    session
        .tell(stopped(
            Answer::Return(Course::RateLimited),
            "fewer, please (429)",
        ))
        .await;
    until_limited(&world, &instance).await;
    daemon.stop().await;
    world.clock.advance(TimeDelta::minutes(3));
    world.want(&instance, Wanted::Connected).await;
    let mut daemon = world.daemon("b").await;
    let session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_pauses_its_instance_and_says_so() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    for strikes in 1..=2 {
        let said = "session state could not be read";
        session
            .tell(stopped(Answer::Return(Course::Unreadable), said))
            .await;
        let paused = until("the pause", async || {
            let observed = world.load(&instance).await.observed;
            let is_paused = observed.reason.as_deref() == Some("STATE_UNREADABLE");
            is_paused.then_some(observed)
        })
        .await;
        assert_eq!(paused.status, Status::Reconnecting);
        assert_eq!(paused.last_error.as_deref(), Some(said));
        assert_eq!(paused.pause.map(|pause| pause.strikes), Some(strikes));
        // Somebody has mended it, and asks.
        world.want(&instance, Wanted::Connected).await;
        session = daemon.session().await;
        session.log_in().await;
        world.until_status(&instance, Status::Connected).await;
        // It stands well, since nobody writes what needs the entry.
        world.clock.advance(TimeDelta::hours(1));
    }
}

#[tokio::test]
async fn two_clients_do_not_throw_each_other_out_for_ever() {
    let world = World::new().await;
    let mut daemon = world.daemon("0").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut replaced = 0;
    let ended = loop {
        session
            .tell(stopped(Answer::Return(Course::Replaced), "replaced"))
            .await;
        replaced += 1;
        let ended = until("the end or a pause", async || {
            let observed = world.load(&instance).await.observed;
            let strikes = observed.pause.as_ref().map_or(0, |pause| pause.strikes);
            let told = observed.status == Status::ForceDisconnected || strikes == replaced;
            told.then_some(observed)
        })
        .await;
        if ended.status == Status::ForceDisconnected {
            break ended;
        }
        assert!(replaced < 10, "it ends");
        // Whoever takes the shard counts on.
        daemon.stop().await;
        world.clock.advance(TimeDelta::minutes(15));
        daemon = world.daemon(&replaced.to_string()).await;
        session = daemon.session().await;
        session.log_in().await;
        world.until_status(&instance, Status::Connected).await;
    };
    assert_eq!(ended.reason.as_deref(), Some("REPLACED"));
    assert_eq!(ended.last_error.as_deref(), Some("replaced"));
    assert_eq!(replaced, 5);
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another(), "nobody has asked for it");
}

/// A row of tries lasts some seconds; this is longer, however often the client repeats each.
#[tokio::test]
async fn a_pause_is_kept_however_long_its_status_cannot_be_written() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (instance, session) = world.connected(&mut daemon).await;
    let statuses = || On::operation("UpdateItem").with("observedGeneration");
    let failing = table.always(statuses(), Fate::FAILED);
    session
        .tell(stopped(
            Answer::Return(Course::RateLimited),
            "fewer, please (429)",
        ))
        .await;
    in_time("the end of the session", session.line.disconnected.cancelled()).await;
    until("two rows of tries", async || (failing.hits() >= 20).then_some(())).await;
    world.nudge_and_wait(&instance).await;
    failing.end();
    let limited = until_limited(&world, &instance).await.observed;
    assert_eq!(limited.pause.map(|pause| pause.strikes), Some(1));
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another());

    // And so is an end.
    world.clock.advance(TimeDelta::hours(1));
    world.want(&instance, Wanted::Connected).await;
    let session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    let failing = table.always(statuses(), Fate::FAILED);
    session
        .tell(stopped(Answer::End(Status::Banned, Reason::Banned), "banned"))
        .await;
    until("two rows of tries", async || (failing.hits() >= 20).then_some(())).await;
    failing.end();
    world.until_status(&instance, Status::Banned).await;
    assert!(!daemon.has_begun_another());
}

#[tokio::test]
async fn an_account_that_could_not_be_stored_is_stored_later() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let instance = world.instance("main").await;
    world.nudge(&instance).await;
    let mut session = daemon.session().await;
    world
        .accept(&instance, "15550100001", "not before it is connected")
        .await;
    let failing = table.always(On::operation("UpdateItem").with("paired"), Fate::FAILED);
    session.log_in().await;
    in_time("the end of the session", session.line.disconnected.cancelled()).await;
    assert_eq!(
        session.sent_besides(),
        [],
        "it was not connected as far as anyone knows"
    );
    failing.end();
    let session = daemon.session().await;
    session.log_in().await;
    let connected = world.until_status(&instance, Status::Connected).await;
    assert_eq!(connected.account.map(|found| found.person), Some(account()));
}
