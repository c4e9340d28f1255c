//! What a daemon does with its leases when the table does not do what it should.

use std::time::Duration;

use shared::domain::instance::Status;
use shared::domain::message::State;
use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Lease};
use testbed::relay::{Away, Fate, On, Relay};
use testbed::wait::{in_time, until};
use tokio_util::sync::CancellationToken;

use crate::world::World;

fn beats() -> On {
    On::operation("PutItem").with("daemons#")
}

fn takes() -> On {
    On::operation("PutItem").with("leases#")
}

fn looks() -> On {
    On::operation("Query").with("leases#")
}

fn releases() -> On {
    On::operation("UpdateItem").with("leases#")
}

impl World {
    async fn lease(&self, shard: u32) -> Lease {
        let lease = self.leases.get(Shard(shard)).await.expect("read");
        lease.expect("a lease")
    }

    async fn beat_of(&self, daemon: &str) -> Beat {
        until("a beat", async || {
            self.leases.get_beat(daemon).await.expect("read")
        })
        .await
    }

    /// Waits until a daemon has beaten so many times more.
    pub async fn until_beats(&self, daemon: &str, more: u64) {
        let before = self.beat_of(daemon).await.counter;
        until(&format!("{more} beats"), async || {
            (self.beat_of(daemon).await.counter >= before + more).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_daemon_serves_again_when_the_table_is_back() {
    let world = World::with_short_leases(1).await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (instance, old) = world.connected(&mut daemon).await;
    let token = world.lease(0).await.token;
    table.take_away(Away::Stalled);
    in_time("the end of the session", old.line.abandoned.cancelled()).await;
    until("no shard held", async || {
        daemon.holding.get().is_empty().then_some(())
    })
    .await;
    table.give_back();

    let mut session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    let lease = world.lease(0).await;
    assert_eq!(lease.owner.as_deref(), Some("a"));
    assert!(lease.token > token, "taken anew, under a token of its own");
    let message = world.accept(&instance, "15550100001", "after the outage").await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
}

#[tokio::test]
async fn a_take_whose_answer_was_lost_is_found() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let lost = table.plan(takes(), [Fate::PASS.unanswered()]);
    let daemon = world.daemon_on("a", table.endpoint()).await;
    daemon.until_holding(1).await;
    assert!(lost.is_done());
    let lease = world.lease(0).await;
    assert_eq!(
        (lease.owner.as_deref(), lease.token),
        (Some("a"), 2),
        "the first take was applied, and said that someone was faster when it was repeated"
    );
}

#[tokio::test]
async fn a_release_that_failed_is_made_good() {
    let world = World::of(4).await;
    let table = Relay::before(&world.database.endpoint).await;
    let first = world.daemon_on("a", table.endpoint()).await;
    first.until_holding(4).await;
    // More than the SDK tries for two shards.
    let failing = table.plan(releases(), [Fate::FAILED; 12]);
    let second = world.daemon("b").await;
    second.until_holding(2).await;
    assert!(failing.is_done());
    assert_eq!(first.holding.get(), [Shard(0), Shard(1)]);
    first.stop().await;
    second.until_holding(4).await;
}

#[tokio::test]
async fn whatever_else_hangs_delays_no_beat() {
    let world = World::with_short_leases(1).await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (_instance, session) = world.connected(&mut daemon).await;
    let looked = table.watch(looks());
    table.always(beats(), Fate::PASS);
    table.always(On::any(), Fate::STALLED);
    // Longer than two leases, each look taking its full deadline.
    world.until_beats("a", 2 * world.lease.as_secs() + 2).await;
    assert!(looked.hits() >= 2);
    assert_eq!(daemon.holding.get(), [Shard(0)]);
    assert!(!session.line.abandoned.is_cancelled());
}

#[tokio::test]
async fn a_daemon_that_does_not_beat_takes_nothing() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let (looked, taken) = (table.watch(looks()), table.watch(takes()));
    let stalled = table.always(beats(), Fate::STALLED);
    let daemon = world.daemon_on("a", table.endpoint()).await;
    until("some looks", async || (looked.hits() >= 3).then_some(())).await;
    assert_eq!(taken.hits(), 0);
    stalled.end();
    daemon.until_holding(1).await;
}

#[tokio::test]
async fn a_daemon_that_is_to_stop_takes_no_more() {
    const SHARDS: u32 = 32;
    let world = World::of(SHARDS).await;
    let table = Relay::before(&world.database.endpoint).await;
    let stalled = table.always(takes(), Fate::STALLED);
    let daemon = world.daemon_on("a", table.endpoint()).await;
    until("a take", async || (stalled.hits() > 0).then_some(())).await;
    daemon.stop().await;
    // The SDK tries each one at least twice within its time.
    assert!(stalled.hits() < u64::from(2 * SHARDS), "{}", stalled.hits());
}

#[tokio::test]
async fn a_daemon_that_hands_over_counts_for_no_share() {
    let world = World::of(4).await;
    let mut first = world.daemon("a").await;
    first.until_holding(4).await;
    let second = world.daemon("b").await;
    second.until_holding(2).await;
    let instance = world.instance_of("main", Shard(0)).await;
    world.nudge(&instance).await;
    let mut session = first.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    let message = world.accept(&instance, "15550100001", "on the wire").await;
    assert_eq!(session.sent().await.message, message);

    // It waits for the acknowledgement; its other shard goes at once.
    let stopping = tokio::spawn(first.stop());
    second.until_holding(3).await;
    assert!(world.beat_of("a").await.draining);
    assert!(!stopping.is_finished(), "the message is on the wire still");
    assert_eq!(world.lease(0).await.owner.as_deref(), Some("a"));
    session.acknowledge(message, None).await;
    in_time("the orderly end", stopping).await.expect("no panic");
    second.until_holding(4).await;
}

#[tokio::test]
async fn what_another_beats_for_and_does_not_take_is_served_and_stays() {
    let world = World::with_short_leases(4).await;
    let (leases, stop) = (world.leases.clone(), CancellationToken::new());
    let _stops = stop.clone().drop_guard();
    let mut beat = Beat {
        daemon: "b".to_owned(),
        counter: 0,
        duration_ms: 30_000,
        at: world.now(),
        round_trips_since: None,
        draining: false,
        vitals: None,
    };
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        loop {
            beat.counter += 1;
            leases.beat(&beat).await.expect("stored");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }));
    world.beat_of("b").await;
    let daemon = world.daemon("a").await;
    daemon.until_holding(4).await;
    let tokens: Vec<u64> = [world.lease(2).await, world.lease(3).await]
        .map(|lease| lease.token)
        .to_vec();
    assert_eq!(tokens, [1, 1]);
    world.until_beats("a", 4).await;
    assert_eq!(daemon.holding.get().len(), 4, "not to and fro");
    assert_eq!(world.lease(3).await.token, 1);
}

#[tokio::test]
async fn who_knows_to_be_alone_forgets_the_owners_of_an_earlier_life() {
    let world = World::of(2).await;
    let first = world.daemon("a").await;
    first.until_holding(2).await;
    // No beat of its is on its way.
    world.until_beats("a", 1).await;
    first.freeze();
    world.leases.forget_owners().await.expect("forgotten");
    assert_eq!(world.leases.list_beats().await.expect("read"), []);
    assert_eq!(world.lease(1).await.owner, None);
    let second = world.daemon("b").await;
    second.until_holding(2).await;
    assert_eq!(world.lease(1).await.token, 2);
}

#[tokio::test]
async fn a_shard_whose_task_panics_leaves_no_session_behind() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, old) = world.connected(&mut daemon).await;
    let token = world.lease(0).await.token;
    daemon.panic();
    in_time("the end of the session", old.line.abandoned.cancelled()).await;
    let session = daemon.session().await;
    assert_eq!(session.instance, instance.id);
    assert!(world.lease(0).await.token > token, "taken anew");
    daemon.stop().await;
}
