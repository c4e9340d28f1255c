//! One case: a world, traffic, a trouble in the midst of it, and what must hold afterwards.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use testbed::relay::{Away, Fate, On, Reply, Rule};
use tokio::sync::Semaphore;

use crate::traffic::Traffic;
use crate::verdict;
use crate::world::World;

/// Cases at a time, of all tests together: they wait most of their time, and each has up to four processes.
static ROOM: Semaphore = Semaphore::const_new(3);

/// How long messages go out and come in before and after the trouble.
const CALM: Duration = Duration::from_secs(3);

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The table is away.
    Table(Away, Duration),
    /// The queues are away.
    Queue(Away, Duration),
    /// Both are.
    Both(Away, Duration),
    /// The first daemon stands still.
    StandStill(Duration),
    /// Leases change hands all the while, and half of the answers to takes and releases are lost.
    LostLeases,
}

/// A case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// How many daemons share the shards.
    pub daemons: usize,
    /// What happens.
    pub trouble: Trouble,
}

impl Case {
    /// How often at most a shard changes hands for it: away from its daemon, and back to an even share.
    pub fn handovers(&self) -> u64 {
        match self.trouble {
            Trouble::LostLeases => 8,
            _ => 2,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let daemons = self.daemons;
        match self.trouble {
            Trouble::Table(how, time) => write!(f, "table-{how:?}-{}s-{daemons}", time.as_secs()),
            Trouble::Queue(how, time) => write!(f, "queue-{how:?}-{}s-{daemons}", time.as_secs()),
            Trouble::Both(how, time) => write!(f, "both-{how:?}-{}s-{daemons}", time.as_secs()),
            Trouble::StandStill(time) => write!(f, "still-{}s-{daemons}", time.as_secs()),
            Trouble::LostLeases => write!(f, "lost-leases-{daemons}"),
        }
    }
}

/// Runs cases side by side, each in a world of its own, and fails with all that failed.
pub async fn run_all(cases: impl IntoIterator<Item = Case>) {
    let running = cases.into_iter().map(async |case| {
        let _room = ROOM.acquire().await.expect("it is never closed");
        // A panic in one case leaves the others alone.
        let outcome = AssertUnwindSafe(run(case)).catch_unwind().await;
        outcome.map_err(|panic| format!("{case}: {}", text_of(&*panic)))
    });
    let outcomes = join_all(running).await;
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}

async fn run(case: Case) {
    let mut world = World::start(&case.to_string(), case.daemons).await;
    let takes = world.takes().await;
    let traffic = Traffic::begin(&world);
    traffic.until_flowing().await;
    tokio::time::sleep(CALM).await;
    strike(&mut world, case.trouble).await;
    verdict::is_served(&world, &case).await;
    tokio::time::sleep(CALM).await;
    let sent = traffic.end().await;
    verdict::holds(world, &case, &takes, &sent).await;
}

/// Lets the trouble happen, and answers when it is over.
async fn strike(world: &mut World, trouble: Trouble) {
    match trouble {
        Trouble::Table(how, time) => world.stores.table.away_for(how, time).await,
        Trouble::Queue(how, time) => world.stores.queue.away_for(how, time).await,
        Trouble::Both(how, time) => {
            tokio::join!(
                world.stores.table.away_for(how, time),
                world.stores.queue.away_for(how, time)
            );
        }
        Trouble::StandStill(time) => {
            world.daemons[0].stand_still().await;
            tokio::time::sleep(time).await;
            world.daemons[0].go_on().await;
        }
        Trouble::LostLeases => lose_leases(world).await,
    }
}

/// Daemons come and go while half of the answers about leases are lost, after they took effect.
async fn lose_leases(world: &mut World) {
    let takes = On::operation("PutItem").with("leases#");
    let releases = On::operation("UpdateItem").with("leases#");
    let lost = [(25, Fate::PASS.unanswered()), (25, Fate::lost(Reply::Broken))];
    let lost = [takes, releases].map(|on| world.stores.table.share(on, 7, &lost, 0..1));
    world.add_daemon().await;
    world.add_daemon().await;
    tokio::time::sleep(2 * World::LEASE).await;
    world.daemons.remove(0).stop().await;
    tokio::time::sleep(2 * World::LEASE).await;
    world.daemons.remove(0).kill().await;
    world.add_daemon().await;
    tokio::time::sleep(3 * World::LEASE).await;
    let losses: u64 = lost.iter().map(Rule::hits).sum();
    assert!(losses > 0, "no lease changed hands");
    lost.iter().for_each(Rule::end);
}
