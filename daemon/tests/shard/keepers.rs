//! Two daemons on one table.

use std::time::Duration;

use chrono::TimeDelta;
use shared::domain::instance::{Instance, Status};
use shared::domain::message::State;
use shared::domain::shard::Shard;
use shared::storage::StorageError;
use shared::storage::instances::Observation;
use testbed::wait::in_time;
use tokio::time::Instant;

use crate::daemons::Daemon;
use crate::network::Playing;
use crate::world::World;

const SHARDS: u32 = 4;

async fn connected(world: &World, daemon: &mut Daemon, instance: &Instance) -> Playing {
    let session = daemon.session().await;
    assert_eq!(session.instance, instance.id);
    session.log_in().await;
    world.until_status(instance, Status::Connected).await;
    session
}

fn shards(daemon: &Daemon) -> Vec<Shard> {
    daemon.holding.get()
}

#[tokio::test]
async fn shards_spread_and_a_silent_daemons_are_taken_over() {
    let world = World::with_short_leases(SHARDS).await;
    let mut first = world.daemon("a").await;
    first.until_holding(4).await;
    let (kept, given) = (
        world.instance_of("kept", Shard(0)).await,
        world.instance_of("given", Shard(3)).await,
    );
    world.nudge(&kept).await;
    let old = connected(&world, &mut first, &kept).await;
    world.nudge(&given).await;
    let moved = connected(&world, &mut first, &given).await;

    let mut second = world.daemon("b").await;
    second.until_holding(2).await;
    first.until_holding(2).await;
    assert_eq!(shards(&first), [Shard(0), Shard(1)]);
    assert_eq!(shards(&second), [Shard(2), Shard(3)]);
    assert!(moved.line.disconnected.is_cancelled(), "handed over in order");
    assert!(!moved.line.abandoned.is_cancelled());
    let _given = connected(&world, &mut second, &given).await;
    assert!(
        !old.line.disconnected.is_cancelled(),
        "what is kept is left alone"
    );

    // The first stands still: it neither beats nor looks, but its sockets are open.
    old.state.put("ratchet", b"1", None).await.expect("stored");
    let lease = world.leases.get(Shard(0)).await.expect("read").expect("a lease");
    let old_token = lease.token;
    assert_eq!(lease.owner.as_deref(), Some("a"));
    world.until_beats("a", 1).await;
    first.freeze();
    let frozen = Instant::now();
    second.until_holding(4).await;
    // It has beaten a moment ago, give or take a busy machine's delays.
    assert!(
        frozen.elapsed() + Duration::from_secs(4) > world.lease,
        "it was left its time"
    );
    let lease = world.leases.get(Shard(0)).await.expect("read").expect("a lease");
    assert_eq!(lease.owner.as_deref(), Some("b"));
    assert!(lease.token > old_token);
    let mut new = connected(&world, &mut second, &kept).await;
    assert_eq!(
        new.state.get("ratchet").await.expect("read").as_deref(),
        Some(&b"1"[..])
    );
    new.state.put("ratchet", b"2", None).await.expect("stored");

    // And comes back to life: nothing of what it writes counts.
    let now = world.load(&kept).await;
    let late = world
        .instances
        .observe(kept.id, old_token, &now.observed)
        .await
        .expect("answered");
    assert_eq!(late, Observation::Fenced);
    let late = world.instances.set_account(kept.id, old_token, None).await;
    assert_eq!(late.expect("answered"), Observation::Fenced);
    let late = old.state.put("ratchet", b"late", None).await;
    assert!(matches!(late, Err(StorageError::Fenced)), "{late:?}");
    let late = old.state.put("another", b"late", None).await;
    assert!(
        matches!(late, Err(StorageError::Fenced)),
        "nothing goes out after the first refusal: {late:?}"
    );
    in_time("the old connection's end", old.line.abandoned.cancelled()).await;
    assert!(!old.line.disconnected.is_cancelled(), "it may store nothing more");
    assert_eq!(
        new.state.get("ratchet").await.expect("read").as_deref(),
        Some(&b"2"[..])
    );
    assert_eq!(new.state.get("another").await.expect("read"), None);
    let unchanged = world.load(&kept).await;
    assert_eq!(unchanged, now);

    let message = world.accept(&kept, "15550100001", "by the new owner").await;
    assert_eq!(new.sent().await.message, message);
    new.acknowledge(message, None).await;
    world.until_state(&kept, message, State::Sent).await;
}

/// Who lives is told by beats that change, and never by their times: the one would find the other's of an hour ago, and the other the
/// one's of an hour from now.
#[tokio::test]
async fn daemons_whose_clocks_are_an_hour_apart_share_and_take_over() {
    let hour = TimeDelta::hours(1);
    tokio::join!(
        Box::pin(share_and_take_over(-hour, hour)),
        Box::pin(share_and_take_over(hour, -hour)),
    );
}

/// Two daemons, whose clocks are ahead by so much.
async fn share_and_take_over(one: TimeDelta, other: TimeDelta) {
    let world = World::with_short_leases(SHARDS).await;
    let mut first = world.daemon_wrong_by("a", one).await;
    first.until_holding(4).await;
    let instance = world.instance_of("kept", Shard(0)).await;
    world.nudge(&instance).await;
    let mut old = connected(&world, &mut first, &instance).await;
    let mut second = world.daemon_wrong_by("b", other).await;
    second.until_holding(2).await;
    first.until_holding(2).await;
    for (daemon, offset) in [("a", one), ("b", other)] {
        let beat = world.leases.get_beat(daemon).await.expect("read");
        assert_eq!(beat.expect("it beats").at, world.now() + offset);
    }

    // So it stays, and messages go out by the clock that is wrong, once.
    world.until_beats("a", 3).await;
    world.until_beats("b", 3).await;
    assert_eq!(shards(&first), [Shard(0), Shard(1)]);
    assert_eq!(shards(&second), [Shard(2), Shard(3)]);
    let message = world.accept(&instance, "15550100001", "by the first").await;
    assert_eq!(old.sent().await.message, message);
    old.acknowledge(message, None).await;
    let record = world.until_state(&instance, message, State::Sent).await;
    let sent_at = world.now() + one.max(TimeDelta::zero());
    assert_eq!(record.sent_at, Some(sent_at), "not before it was accepted");
    old.state.put("ratchet", b"1", None).await.expect("stored");

    // The first one stands still, and is left its time.
    let lease = world.leases.get(Shard(0)).await.expect("read").expect("a lease");
    world.until_beats("a", 1).await;
    first.freeze();
    let frozen = Instant::now();
    second.until_holding(4).await;
    assert!(frozen.elapsed() + Duration::from_secs(4) > world.lease);
    let taken = world.leases.get(Shard(0)).await.expect("read").expect("a lease");
    assert_eq!(taken.owner.as_deref(), Some("b"));
    assert!(taken.token > lease.token);
    let mut new = connected(&world, &mut second, &instance).await;
    assert_eq!(
        new.state.get("ratchet").await.expect("read").as_deref(),
        Some(&b"1"[..])
    );
    new.state.put("ratchet", b"2", None).await.expect("stored");
    let late = old.state.put("ratchet", b"late", None).await;
    assert!(matches!(late, Err(StorageError::Fenced)), "{late:?}");
    in_time("the old connection's end", old.line.abandoned.cancelled()).await;
    let message = world.accept(&instance, "15550100001", "by the second").await;
    assert_eq!(new.sent().await.message, message);
    new.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;

    // Another one is handed its share, and all of it in the end.
    let third = world.daemon_wrong_by("c", one).await;
    third.until_holding(2).await;
    second.stop().await;
    third.until_holding(4).await;
}

/// The old owner finds out by its own status, where nothing else tells it.
#[tokio::test]
async fn a_late_status_ends_the_old_owners_session() {
    let world = World::with_short_leases(1).await;
    let mut first = world.daemon("a").await;
    let (instance, old) = world.connected(&mut first).await;
    first.freeze();
    let mut second = world.daemon("b").await;
    let new = connected(&world, &mut second, &instance).await;
    let before = world.load(&instance).await;
    old.tell(daemon::connection::SessionEvent::Paired).await;
    in_time("the old connection's end", old.line.abandoned.cancelled()).await;
    assert_eq!(world.load(&instance).await, before);
    assert!(!new.line.abandoned.is_cancelled());
}

#[tokio::test]
async fn an_orderly_stop_hands_over_without_waiting_for_the_lease() {
    let world = World::of(SHARDS).await;
    let mut first = world.daemon("a").await;
    first.until_holding(4).await;
    let instance = world.instance_of("main", Shard(0)).await;
    world.nudge(&instance).await;
    let mut old = connected(&world, &mut first, &instance).await;
    let mut second = world.daemon("b").await;
    second.until_holding(2).await;

    let message = world.accept(&instance, "15550100001", "on the wire").await;
    let on_the_wire = old.sent().await;
    assert_eq!(on_the_wire.message, message);
    let stopping = tokio::spawn(first.stop());
    old.acknowledge(message, None).await;
    in_time("the orderly end", stopping).await.expect("no panic");
    assert!(old.line.disconnected.is_cancelled());
    assert!(!old.line.abandoned.is_cancelled());
    let record = world.until_state(&instance, message, State::Sent).await;
    assert_eq!(record.sent_at, Some(world.now()), "what was on the wire is done");
    assert_eq!(world.leases.get_beat("a").await.expect("read"), None);
    for lease in world.leases.list_all().await.expect("read") {
        assert_ne!(lease.owner.as_deref(), Some("a"), "{lease:?}");
    }
    second.until_holding(4).await;
    let new = connected(&world, &mut second, &instance).await;
    assert_eq!(new.instance, instance.id);
}
