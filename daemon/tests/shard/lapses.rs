//! What keeps a shard with one daemon where beats fail, come late or go unheard.

use std::time::Duration;

use shared::domain::shard::Shard;
use shared::storage::item::{n, s};
use shared::storage::leases::Beat;
use shared::storage::{StorageError, keys};
use testbed::relay::{Fate, On, Relay};
use testbed::wait::{in_time, until};
use tokio_util::sync::CancellationToken;

use crate::idle::Idle;
use crate::world::{NETWORK, World};

fn beats() -> On {
    On::operation("PutItem").with("daemons#")
}

fn looks_at(what: &'static str) -> On {
    On::operation("Query").with(what)
}

/// Who reads the beats first may hold an owner for dead that has come back and taken its shard anew before the leases
/// are read.
#[tokio::test]
async fn a_look_asks_for_beats_when_it_has_the_leases() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let asked = table.watch(looks_at("daemons#"));
    let looked = table.watch(looks_at("leases#"));
    let stalled = table.always(looks_at("leases#"), Fate::STALLED);
    let daemon = world.daemon_on("a", table.endpoint()).await;
    until("some looks", async || (looked.hits() >= 3).then_some(())).await;
    assert_eq!(asked.hits(), 0);
    stalled.end();
    daemon.until_holding(1).await;
    assert!(asked.hits() > 0);
}

/// Others would find a number again that they have seen before, and take it for silence.
#[tokio::test]
async fn a_beat_that_lands_late_takes_no_later_ones_place() {
    let world = World::new().await;
    let beat = |counter| Beat {
        daemon: "a".to_owned(),
        counter,
        duration_ms: 4_000,
        at: world.now(),
        round_trips_since: None,
        draining: false,
        vitals: None,
    };
    for counter in [1, 2] {
        world.leases.beat(&beat(counter)).await.expect("stored");
    }
    let late = world.leases.beat(&beat(1)).await;
    assert!(matches!(late, Err(StorageError::Conflict(_))), "{late:?}");
    let stored = world.leases.get_beat("a").await.expect("read");
    assert_eq!(stored, Some(beat(2)));
    world.leases.beat(&beat(2)).await.expect("a retry finds its own");
    // One that was away in order begins anew.
    world.leases.retire("a").await.expect("removed");
    world.leases.beat(&beat(1)).await.expect("stored");
}

#[tokio::test]
async fn a_daemon_whose_beats_go_unanswered_keeps_no_shard_from_others() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let first = world.daemon_on("a", table.endpoint()).await;
    first.until_holding(1).await;
    let unheard = table.always(beats(), Fate::PASS.unanswered());
    let second = world.daemon("b").await;
    second.until_holding(1).await;
    assert!(first.holding.get().is_empty());
    let before = unheard.hits();
    until("another beat", async || (unheard.hits() > before).then_some(())).await;
    assert!(
        world.leases.get_beat("a").await.expect("read").is_some(),
        "to others it lives"
    );
    assert_eq!(second.holding.get().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_blinds_no_daemon() {
    let world = World::of(2).await;
    world
        .set(&keys::daemon(NETWORK, "odd"), "counter", s("many"))
        .await;
    let odd = keys::lease(NETWORK, Shard(1));
    world.set(&odd, "token", s("seven")).await;
    let daemon = world.daemon("a").await;
    daemon.until_holding(1).await;
    world.until_beats("a", 2).await;
    assert_eq!(daemon.holding.get(), [Shard(0)]);

    // A person mends the lease.
    world.set(&odd, "shard", n(1)).await;
    world.set(&odd, "token", n(7)).await;
    daemon.until_holding(2).await;
    let lease = world.leases.get(Shard(1)).await.expect("read").expect("a lease");
    assert_eq!((lease.owner.as_deref(), lease.token), (Some("a"), 8));
}

/// It may be a newer one, whose beats have another shape.
#[tokio::test]
async fn a_daemon_whose_beat_cannot_be_read_keeps_its_shards_while_it_changes() {
    let world = World::with_short_leases(2).await;
    let taken = world.leases.take(Shard(1), "odd", None).await;
    assert_eq!(taken.expect("answered"), Some(1));
    let odd = keys::daemon(NETWORK, "odd");
    world.set(&odd, "counter", s("number 0")).await;
    let daemon = world.daemon("a").await;
    daemon.until_holding(1).await;
    // This takes longer than a lease.
    for number in 1..=10 {
        world.set(&odd, "counter", s(format!("number {number}"))).await;
        world.until_beats("a", 1).await;
    }
    assert_eq!(daemon.holding.get(), [Shard(0)]);
    // It beats no more.
    daemon.until_holding(2).await;
}

/// Its beat would keep the shard from everyone.
#[tokio::test]
async fn a_daemon_whose_lost_shard_does_not_end_gives_up() {
    let world = World::of(2).await;
    let keeper = world
        .idle_keeper(Idle::endless())
        .giving_up_after(Duration::from_secs(2));
    let holding = keeper.holding();
    let running = tokio::spawn(keeper.run(CancellationToken::new()));
    until("both shards", async || (holding.get().len() == 2).then_some(())).await;
    assert!(!holding.is_stuck());
    let lease = world.leases.get(Shard(1)).await.expect("read").expect("a lease");
    let taken = world.leases.take(Shard(1), "b", Some(lease.token)).await;
    assert_eq!(taken.expect("answered"), Some(lease.token + 1));
    in_time("the keeper's end", running).await.expect("no panic");
    assert!(holding.is_stuck());
    until("the end of the other shard", async || {
        holding.get().is_empty().then_some(())
    })
    .await;
}
