//! Instances that are logged out or deleted.

use shared::domain::instance::{Instance, Status, Wanted};
use shared::storage::instances::Deleted;
use shared::storage::keys;

use crate::wait::{in_time, until};
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
    let loaded = world.instances.load_with_deleted(instance.id).await;
    assert_eq!(loaded.expect("read"), None);
}

#[tokio::test]
async fn a_deleted_instance_is_unlinked_and_leaves_a_tombstone_alone() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session
        .state
        .put("identity", b"a key", None)
        .await
        .expect("stored");
    let message = world.accept(&instance, "15550100001", "hello").await;
    session.sent().await;
    session.acknowledge(message, None).await;
    world.until_counted(&instance, |counts| counts.sent == 1).await;
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
    let instance = world.instance("main").await;
    world.nudge(&instance).await;
    let session = daemon.session().await;
    session.show_qr("2@code").await;
    world.until_status(&instance, Status::AwaitingQr).await;
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
    let (instance, session) = world.connected(&mut daemon).await;
    session
        .state
        .put("identity", b"a key", None)
        .await
        .expect("stored");
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
