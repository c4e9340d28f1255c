//! Instances that are logged out or deleted.

use daemon::connection::SessionEvent;
use shared::domain::instance::{Instance, Status, UNLINK_TERM, Wanted};
use shared::storage::instances::{Deleted, Observation};
use shared::storage::keys;
use testbed::wait::{in_time, until};

use crate::daemons::Daemon;
use crate::network::{Playing, unlinked};
use crate::world::World;

async fn delete(world: &World, instance: &Instance) {
    let instance = world.load(instance).await;
    let deleted = world.instances.delete(&instance, world.now()).await;
    assert_eq!(deleted.expect("stored"), Deleted::Done);
    world.nudge(&instance).await;
}

/// What the table has of an instance besides its tombstone, by partition and sort key;
/// session state that was deleted is remembered for an hour, without a value.
async fn remains(world: &World, instance: &Instance) -> Vec<String> {
    let scanned = world.table.client().scan().table_name(world.table.name());
    let scanned = scanned.send().await.expect("read");
    let id = instance.id.to_string();
    let mut left = Vec::new();
    for item in scanned.items() {
        let (pk, sk) = (
            item["pk"].as_s().expect("a key"),
            item["sk"].as_s().expect("a key"),
        );
        let is_empty = pk.starts_with("sess#") && !item.contains_key("v");
        let is_tombstone = pk.starts_with("inst#") && sk == "meta" && !item.contains_key("shardKey");
        if (pk.contains(&id) || sk.contains(&id)) && !is_empty && !is_tombstone {
            left.push(format!("{pk}|{sk}"));
        }
    }
    left
}

async fn until_gone(world: &World, instance: &Instance) {
    until("the tombstone", async || {
        let key = keys::instance(instance.id);
        let item = world.table.get(&key).await.expect("read").expect("it stays");
        item.contains_key("exp").then_some(())
    })
    .await;
    assert_eq!(remains(world, instance).await, Vec::<String>::new());
    let loaded = world.instances.get_with_deleted(instance.id).await;
    assert_eq!(loaded.expect("read"), None);
}

/// A connected instance, which has session state and has sent a message.
async fn used(world: &World, daemon: &mut Daemon) -> (Instance, Playing) {
    let (instance, mut session) = world.linked(daemon).await;
    let message = world.accept(&instance, "15550100001", "hello").await;
    session.sent().await;
    session.acknowledge(message, None).await;
    world.until_counted(&instance, |counts| counts.sent == 1).await;
    (instance, session)
}

#[tokio::test]
async fn a_deleted_instance_is_unlinked_and_leaves_a_tombstone_alone() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = used(&world, &mut daemon).await;
    world.until_no_sends().await;

    delete(&world, &instance).await;
    in_time("the logout", session.line.logged_out.cancelled()).await;
    until_gone(&world, &instance).await;
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another());
}

#[tokio::test]
async fn a_disconnected_instance_is_connected_once_to_be_unlinked_and_its_jobs_are_dropped() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = world.connected(&mut daemon).await;
    world.want(&instance, Wanted::Disconnected).await;
    world.until_status(&instance, Status::Disconnected).await;
    world.accept(&instance, "15550100001", "never sent").await;

    delete(&world, &instance).await;
    let mut session = daemon.session().await;
    session.log_in().await;
    in_time("the logout", session.line.logged_out.cancelled()).await;
    until_gone(&world, &instance).await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
}

#[tokio::test]
async fn an_instance_that_was_never_paired_just_goes() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.showing_qr(&mut daemon).await;
    delete(&world, &instance).await;
    in_time("the orderly end", session.line.disconnected.cancelled()).await;
    assert!(
        !session.line.logged_out.is_cancelled(),
        "there is no account to log out"
    );
    until_gone(&world, &instance).await;
    assert!(!daemon.has_begun_another());
}

#[tokio::test]
async fn a_logout_unlinks_and_the_next_connection_pairs_anew() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.linked(&mut daemon).await;
    world.want(&instance, Wanted::LoggedOut).await;
    in_time("the logout", session.line.logged_out.cancelled()).await;
    let out = world.until_status(&instance, Status::LoggedOut).await;
    assert_eq!(out.observed.reason.as_deref(), Some("LOGOUT_REQUESTED"));
    assert_eq!(out.account, None);
    assert_eq!(session.state.scan("").await.expect("read"), []);
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another());

    world.want(&instance, Wanted::Connected).await;
    let session = daemon.session().await;
    session.show_qr("2@code").await;
    world.until_status(&instance, Status::AwaitingQr).await;
}

/// A connected instance whose logout WhatsApp does not confirm.
async fn unconfirmed(world: &World, daemon: &mut Daemon) -> (Instance, Playing) {
    let (instance, session) = world.linked(daemon).await;
    daemon.network.set_answers_probes(false);
    (instance, session)
}

/// Waits until the phone is known not to have been told.
async fn until_pending(world: &World, instance: &Instance) -> Instance {
    until("a logout that is pending", async || {
        let loaded = world.instances.get_with_deleted(instance.id).await;
        let loaded = loaded.expect("read").expect("it is there");
        (loaded.observed.reason.as_deref() == Some("LOGOUT_PENDING")).then_some(loaded)
    })
    .await
}

#[tokio::test]
async fn the_wish_to_unlink_outlives_failures_and_daemons() {
    let world = World::new().await;
    let mut first = world.daemon("a").await;
    let (instance, session) = unconfirmed(&world, &mut first).await;
    world.want(&instance, Wanted::LoggedOut).await;
    in_time("the end of the session", session.line.disconnected.cancelled()).await;
    // The next attempt fails as well.
    let session = first.session().await;
    let pending = until_pending(&world, &instance).await;
    assert_eq!(pending.observed.status, Status::Reconnecting);
    assert!(pending.account.is_some() && pending.refuses_sends());
    session.log_in().await;
    in_time("the end of the session", session.line.disconnected.cancelled()).await;
    assert!(!session.line.logged_out.is_cancelled());
    let session = first.session().await;
    assert_eq!(
        session.state.get("identity").await.expect("read").as_deref(),
        Some(&b"a key"[..])
    );
    first.stop().await;

    let mut second = world.daemon("b").await;
    let session = second.session().await;
    session.log_in().await;
    in_time("the logout", session.line.logged_out.cancelled()).await;
    let out = world.until_status(&instance, Status::LoggedOut).await;
    assert_eq!(out.observed.reason.as_deref(), Some("LOGOUT_REQUESTED"));
    assert_eq!(out.account, None);
    assert_eq!(session.state.scan("").await.expect("read"), []);
    world.nudge_and_wait(&instance).await;
    assert!(!second.has_begun_another());
}

#[tokio::test]
async fn a_later_connect_takes_the_wish_back() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = unconfirmed(&world, &mut daemon).await;
    world.want(&instance, Wanted::LoggedOut).await;
    let attempt = daemon.session().await;
    until_pending(&world, &instance).await;
    daemon.network.set_answers_probes(true);
    world.want(&instance, Wanted::Connected).await;
    in_time("the end of the attempt", attempt.line.disconnected.cancelled()).await;
    let session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    assert!(!attempt.line.logged_out.is_cancelled() && !session.line.logged_out.is_cancelled());
}

#[tokio::test]
async fn after_fourteen_days_the_rest_is_done_without_the_phone() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = unconfirmed(&world, &mut daemon).await;
    world.want(&instance, Wanted::LoggedOut).await;
    let attempt = daemon.session().await;
    until_pending(&world, &instance).await;
    world.clock.advance(UNLINK_TERM);
    attempt
        .tell(SessionEvent::Disconnected {
            reason: "refused".to_owned(),
            blames_wire: true,
        })
        .await;
    let out = world.until_status(&instance, Status::LoggedOut).await;
    assert_eq!(out.account, None);
    assert_eq!(attempt.state.scan("").await.expect("read"), []);
}

#[tokio::test]
async fn an_account_that_is_gone_needs_no_phone() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = unconfirmed(&world, &mut daemon).await;
    world.want(&instance, Wanted::LoggedOut).await;
    let attempt = daemon.session().await;
    attempt.tell(unlinked("unlinked on the phone")).await;
    let out = world.until_status(&instance, Status::LoggedOut).await;
    assert_eq!(out.account, None);
}

#[tokio::test]
async fn a_deleted_instance_keeps_its_session_alone_until_the_phone_is_told() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = used(&world, &mut daemon).await;
    daemon.network.set_answers_probes(false);
    delete(&world, &instance).await;
    let attempt = daemon.session().await;
    until_pending(&world, &instance).await;
    until("the end of its content", async || {
        let left = remains(&world, &instance).await;
        let content = |key: &String| key.starts_with("msgs#") || key.starts_with("ctr#");
        (!left.iter().any(content)).then_some(())
    })
    .await;
    assert!(attempt.state.get("identity").await.expect("read").is_some());
    daemon.network.set_answers_probes(true);
    attempt.log_in().await;
    in_time("the logout", attempt.line.logged_out.cancelled()).await;
    until_gone(&world, &instance).await;

    // Whoever is late writes nothing into what is left.
    let tombstone = world.table.get(&keys::instance(instance.id)).await.expect("read");
    let token = u64::MAX / 2;
    let late = world
        .instances
        .observe(instance.id, token, &instance.observed)
        .await;
    assert_eq!(late.expect("answered"), Observation::Gone);
    let late = world.instances.set_account(instance.id, token, None).await;
    assert_eq!(late.expect("answered"), Observation::Gone);
    assert_eq!(
        world.table.get(&keys::instance(instance.id)).await.expect("read"),
        tombstone
    );
}
