//! What becomes of a daemon's shards while nothing runs where they are served.

use std::sync::mpsc;
use std::time::Duration;

use shared::domain::message::State;
use shared::domain::shard::Shard;
use testbed::wait::{in_time, until};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::idle::Idle;
use crate::world::World;

/// A runtime with one worker, apart from the test's.
struct Apart(Option<Runtime>);

impl Apart {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self(Some(runtime.expect("a runtime")))
    }

    fn handle(&self) -> Handle {
        self.0.as_ref().expect("it runs").handle().clone()
    }

    /// Blocks its worker, so that it runs nothing, until the answer is dropped.
    async fn block(&self) -> mpsc::Sender<()> {
        let (free, blocked) = mpsc::channel();
        let (start, begun) = oneshot::channel();
        self.handle().spawn(async move {
            start.send(()).expect("the test waits");
            let _ = blocked.recv();
        });
        in_time("its worker", begun).await.expect("it runs");
        free
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // Tests end within a runtime, where nobody may wait for the end of another.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[tokio::test]
async fn a_daemon_that_is_busy_for_longer_than_a_lease_keeps_its_shards() {
    let world = World::with_short_leases(1).await;
    let apart = Apart::new();
    let mut daemon = world.daemon_apart("a", apart.handle()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    // It takes over what is silent for longer than a lease.
    let other = world.daemon("b").await;
    let lease = world.leases.get(Shard(0)).await.expect("read");
    let busy = apart.block().await;
    world.until_beats("a", world.lease.as_secs() + 2).await;
    world.until_beats("b", 2).await;
    assert_eq!(daemon.holding.get(), [Shard(0)]);
    drop(busy);

    let message = world.accept(&instance, "15550100001", "after all that").await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    assert!(!session.line.abandoned.is_cancelled(), "on the same connection");
    assert_eq!(world.leases.get(Shard(0)).await.expect("read"), lease);
    assert!(other.holding.get().is_empty());
    daemon.stop().await;
    other.until_holding(1).await;
}

/// Its beats would keep the shard from daemons that can serve it.
#[tokio::test]
async fn a_daemon_takes_no_shard_while_nothing_runs_where_it_would_be_served() {
    let world = World::with_short_leases(1).await;
    // The first by name is the one that is to have it.
    let other = world.daemon("a").await;
    other.until_holding(1).await;
    let apart = Apart::new();
    let daemon = world.daemon_apart("b", apart.handle()).await;
    until("its first beat", async || {
        let beats = world.leases.list_beats().await.expect("read");
        beats.iter().any(|beat| beat.daemon == "b").then_some(())
    })
    .await;
    let busy = apart.block().await;
    world.until_beats("b", 4).await;
    other.stop().await;
    world.until_beats("b", world.lease.as_secs() + 2).await;
    let lease = world.leases.get(Shard(0)).await.expect("read");
    assert_eq!(lease.expect("it was held").owner, None);
    drop(busy);
    daemon.until_holding(1).await;
    daemon.stop().await;
}

/// Its beats would keep the shards from everyone.
#[tokio::test]
async fn a_daemon_whose_runtime_never_comes_back_gives_up() {
    let world = World::with_short_leases(1).await;
    let apart = Apart::new();
    let keeper = world
        .idle_keeper(Idle::on(apart.handle()))
        .silent_after(Duration::from_secs(2))
        .giving_up_after(Duration::from_secs(2));
    let holding = keeper.holding();
    let running = tokio::spawn(keeper.run(CancellationToken::new()));
    until("the shard", async || (holding.get().len() == 1).then_some(())).await;
    let second = world.daemon("b").await;
    world.until_beats("b", 2).await;
    assert!(!holding.is_stuck());

    let _blocked = apart.block().await;
    in_time("the keeper's end", running).await.expect("no panic");
    assert!(holding.is_stuck());
    assert!(holding.get().is_empty());
    second.until_holding(1).await;
}
