//! Instances of a subscription that is switched off.

use daemon::connection::SessionEvent;
use shared::domain::instance::{Status, Wanted};
use shared::domain::message::State;
use testbed::wait::in_time;

use crate::world::World;

#[tokio::test]
async fn a_suspended_instance_rests_and_comes_back_as_it_was_wanted() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.set_active(false).await;
    in_time("the orderly end", session.line.disconnected.cancelled()).await;
    assert!(!session.line.logged_out.is_cancelled(), "it stays linked");
    let resting = world.until_status(&instance, Status::Disconnected).await;
    assert_eq!(resting.observed.reason.as_deref(), Some("SUBSCRIPTION_INACTIVE"));
    assert_eq!(resting.desired, instance.desired);
    assert!(resting.account.is_some());

    // Neither a message, nor a request that was let in before, nor another daemon's first
    // look makes a connection.
    let message = world.accept(&instance, "15550100001", "later").await;
    world.want(&instance, Wanted::Connected).await;
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another());
    daemon.stop().await;
    let mut daemon = world.daemon("b").await;
    daemon.until_holding(1).await;
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another());
    world.until_state(&instance, message, State::Queued).await;

    world.set_active(true).await;
    let mut session = daemon.session().await;
    session.log_in().await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    world.until_status(&instance, Status::Connected).await;
}

#[tokio::test]
async fn what_only_a_person_ends_stays_so() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let instance = world.instance("main").await;
    world.nudge(&instance).await;
    let session = daemon.session().await;
    session.tell(SessionEvent::QrExhausted).await;
    world.until_status(&instance, Status::ForceDisconnected).await;
    for active in [false, true] {
        world.set_active(active).await;
        world.nudge_and_wait(&instance).await;
        let stored = world.load(&instance).await;
        assert_eq!(stored.observed.status, Status::ForceDisconnected);
        assert_eq!(stored.observed.reason.as_deref(), Some("QR_NOT_SCANNED"));
    }
    assert!(!daemon.has_begun_another());
}

#[tokio::test]
async fn a_deleted_instance_is_unlinked_though_it_is_suspended() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = world.connected(&mut daemon).await;
    world.set_active(false).await;
    let resting = world.until_status(&instance, Status::Disconnected).await;
    let deleted = world.instances.delete(&resting, world.now()).await;
    deleted.expect("stored");
    world.nudge(&instance).await;
    let session = daemon.session().await;
    session.log_in().await;
    in_time("the logout", session.line.logged_out.cancelled()).await;
}
