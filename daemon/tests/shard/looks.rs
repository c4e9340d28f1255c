//! Looks at instances that come late, fail, or find another request.

use daemon::connection::SessionEvent;
use shared::domain::instance::{Status, Wanted};
use shared::seal::{Purpose, SealError};
use shared::storage::keys;
use testbed::relay::{Fate, On, Relay, Reply};
use testbed::wait::{in_time, until};

use crate::network::unlinked;
use crate::world::World;

#[tokio::test]
async fn a_second_request_does_not_buy_an_attempt_another_round() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.showing_qr(&mut daemon).await;
    world.want(&instance, Wanted::Connected).await;
    world.nudge_and_wait(&instance).await;
    session.tell(SessionEvent::QrExhausted).await;
    let ended = world.until_status(&instance, Status::ForceDisconnected).await;
    assert_eq!(ended.observed.generation, ended.desired.generation);
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another());
}

#[tokio::test]
async fn nothing_is_done_about_what_only_a_newer_version_knows() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .store_text(keys::instance(instance.id), "wanted", "HIBERNATING")
        .await;
    world.nudge_and_wait(&instance).await;
    let read = world.load(&instance).await;
    assert_eq!(
        (read.desired.wanted, read.observed.status),
        (Wanted::Unknown, Status::Connected)
    );
    assert!(!session.line.disconnected.is_cancelled(), "it stays connected");
}

#[tokio::test]
async fn an_instance_that_cannot_be_read_costs_itself_alone() {
    let world = World::new().await;
    let (broken, sound) = (world.instance("broken").await, world.instance("sound").await);
    let sent = world
        .table
        .client()
        .update_item()
        .table_name(world.table.name())
        .set_key(Some(keys::instance(broken.id).attributes()))
        .update_expression("REMOVE wanted")
        .send();
    sent.await.expect("stored");
    // Nobody nudges: a sweep finds it.
    let mut daemon = world.daemon("a").await;
    let session = daemon.session().await;
    assert_eq!(session.instance, sound.id);
    session.log_in().await;
    world.until_status(&sound, Status::Connected).await;
}

#[tokio::test]
async fn an_older_look_undoes_nothing_that_a_newer_one_has_done() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.want(&instance, Wanted::Disconnected).await;
    in_time("the end of the session", session.line.disconnected.cancelled()).await;
    world.until_status(&instance, Status::Disconnected).await;

    // A sweep reads that it is to rest; its answer comes when the next session has begun.
    let look = table.hold_answer(On::operation("BatchGetItem").with(instance.id.to_string()));
    let held = in_time("a sweep", look.arrived()).await;
    world.want(&instance, Wanted::Connected).await;
    let mut session = daemon.session().await;
    held.pass();
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    // The next sweep begins when this one is done with what it read.
    let next = table.hold(On::operation("Query").with("shardKey"));
    in_time("the next sweep", next.arrived()).await.pass();
    // What would have ended the session has begun to: a message shows that it goes on.
    world.accept(&instance, "15550100001", "hello").await;
    session.sent().await;
    assert!(!session.line.disconnected.is_cancelled(), "it stays connected");
}

#[tokio::test]
async fn an_instance_that_has_ended_for_good_is_not_begun_by_what_was_read_before() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (instance, session) = world.connected(&mut daemon).await;
    // A sweep reads that it is connected; its answer comes when the account has been unlinked.
    let look = table.hold_answer(On::operation("BatchGetItem").with(instance.id.to_string()));
    let held = in_time("a sweep", look.arrived()).await;
    session.tell(unlinked("unlinked on the phone")).await;
    world.until_status(&instance, Status::LoggedOut).await;
    let sessions = &daemon.deps.meter.sessions;
    until("the end of its task", async || {
        (sessions.get() == 0).then_some(())
    })
    .await;
    held.pass();
    // The next sweep begins when this one is done with what it read.
    let next = table.hold(On::operation("Query").with("shardKey"));
    in_time("the next sweep", next.arrived()).await.pass();
    assert!(!daemon.has_begun_another(), "only a new request pairs again");
    assert_eq!(world.load(&instance).await.observed.status, Status::LoggedOut);
}

#[tokio::test]
async fn a_sweep_reads_all_instances_in_one_request() {
    let world = World::new().await;
    let mut instances = Vec::new();
    for name in ["one", "two", "three"] {
        instances.push(world.instance(name).await.id);
    }
    let table = Relay::before(&world.database.endpoint).await;
    let singles = table.watch(On::operation("GetItem").with("inst#").with("meta"));
    let look = table.hold(On::operation("BatchGetItem").with("inst#"));
    // Nobody nudges.
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let held = in_time("a sweep", look.arrived()).await;
    for id in &instances {
        assert!(held.call.body.contains(&id.to_string()));
    }
    held.pass();
    let mut sessions = Vec::new();
    for _ in &instances {
        sessions.push(daemon.session().await);
    }
    let mut begun: Vec<_> = sessions.iter().map(|session| session.instance).collect();
    begun.sort_unstable();
    instances.sort_unstable();
    assert_eq!(begun, instances);
    assert_eq!(singles.hits(), 0);
}

#[tokio::test]
async fn instances_that_could_not_be_read_are_looked_at_again() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    let table = Relay::before(&world.database.endpoint).await;
    let looks = || On::operation("BatchGetItem").with("inst#");
    // The SDK tries a call that fails again. One of which all is left has been answered.
    let failing = table.plan(looks(), [Fate::FAILED, Fate::FAILED, Fate::FAILED, Fate::LEFT]);
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let session = daemon.session().await;
    assert_eq!(session.instance, instance.id);
    assert!(failing.is_done());
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;

    // It is not taken for gone either, once it is connected.
    let left = table.plan(looks(), [Fate::LEFT]);
    until("a sweep", async || left.is_done().then_some(())).await;
    let next = table.hold(On::operation("Query").with("shardKey"));
    in_time("the next sweep", next.arrived()).await.pass();
    assert!(!session.line.disconnected.is_cancelled(), "it stays connected");
}

#[tokio::test]
async fn what_the_table_leaves_of_many_is_read_again_alone() {
    let world = World::new().await;
    let mut instances = [world.instance("one").await.id, world.instance("two").await.id];
    instances.sort_unstable();
    let [first, last] = instances.map(|id| id.to_string());
    let table = Relay::before(&world.database.endpoint).await;
    let looks = || On::operation("BatchGetItem").with("inst#");
    table.plan(looks(), [Fate::UNREAD]);
    let again = table.hold(looks().without(first));
    // Nobody nudges.
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let sound = daemon.session().await;
    assert_eq!(sound.instance, instances[0]);
    let held = in_time("another look", again.arrived()).await;
    assert!(held.call.body.contains(&last), "{}", held.call.body);
    held.pass();
    let late = daemon.session().await;
    assert_eq!(late.instance, instances[1]);
}

#[tokio::test]
async fn instances_whose_common_request_is_refused_are_read_one_by_one() {
    let world = World::new().await;
    let mut instances = [world.instance("one").await.id, world.instance("two").await.id];
    let table = Relay::before(&world.database.endpoint).await;
    let refused = Fate::refused(Reply::Code(400, "ValidationException"));
    table.always(On::operation("BatchGetItem").with("inst#"), refused);
    // Nobody nudges.
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let sessions = [daemon.session().await, daemon.session().await];
    let mut begun = sessions.each_ref().map(|session| session.instance);
    begun.sort_unstable();
    instances.sort_unstable();
    assert_eq!(begun, instances);
}

/// A function makes no data key, and has to seal the secret of a webhook that is set before the first connection.
#[tokio::test]
async fn an_instance_that_was_never_paired_has_its_data_key_after_a_nudge() {
    let world = World::new().await;
    let instance = world.instance("new").await;
    let function = world.keys.sealer(&world.table).making_no_keys();
    let seal = async || {
        function
            .seal(instance.id, Purpose::Content, b"of", b"plain")
            .await
    };
    let none = seal().await.expect_err("nobody has made a key");
    assert!(matches!(none, SealError::NoKey(Purpose::Content)), "{none:?}");
    world.want(&instance, Wanted::Disconnected).await;
    let _daemon = world.daemon("a").await;
    until("a data key", async || seal().await.ok()).await;
}
