//! Chaos: several daemons on one table and its queues, whose clocks are wrong, and round after round of troubles by a seed (daemons
//! that are killed or stand still, sockets that drop, the table, the queues and the key service away, the sandbox started again), while
//! messages of all kinds go out and texts come in, with webhooks on. Afterwards every accepted message is on its recipient's phone,
//! once, in the order of its chat; its state says so, and nothing is counted too low; and every text that came in was told of.
//!
//! `rolling` is the same without any trouble: daemons are replaced in order, as a deployment does it, and then it holds more strictly.
//!
//! `docs/outages.md` says how the long one is run, and one of another seed.

mod bodies;
mod clocks;
mod plan;
mod receivers;
mod restarting_sandbox;
mod rolling;
mod size;
mod strike;
mod traffic;
mod verdict;
mod world;
mod writer;

use std::time::Duration;

use shared::clock::{Clock as _, SystemClock};
use testbed::wait::look_for;
use tokio::sync::Mutex;

use crate::plan::Plan;
use crate::size::Size;
use crate::strike::Log;
use crate::traffic::Traffic;
use crate::world::World;

/// The seed where nobody says another.
const SEED: u64 = 1;

/// How long a round goes on when every instance is connected again.
const CALM: Duration = Duration::from_secs(2);

/// The pause between two looks whether they are.
const LOOK: Duration = Duration::from_millis(250);

/// One run at a time: each has all processors to do with.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_in_a_short_chaos() {
    Box::pin(run("short", &Size::SHORT)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes and more, and many open files: see `docs/outages.md`"]
async fn nothing_is_lost_in_a_long_chaos() {
    Box::pin(run("long", &Size::LONG)).await;
}

async fn run(name: &str, size: &Size) {
    let _alone = ALONE.lock().await;
    let plan = Plan::of(seed(), size);
    println!("{plan}");
    let mut world = Box::pin(World::start(name, size, &plan.clocks)).await;
    std::fs::write(world.directory.join("plan.txt"), plan.letters()).expect("written");
    println!("logs, and who writes what to whom: {}", world.directory.display());
    let (log, began) = (Log::begin(), SystemClock.now());
    let traffic = Traffic::ready(&world, &plan, size.patience);
    for (round, strikes) in plan.rounds.iter().enumerate() {
        log.say(&format!("round {round}"));
        traffic.begin_round();
        Box::pin(world.strike(log, strikes)).await;
        until_served(&world, log, size.patience).await;
        tokio::time::sleep(CALM).await;
    }
    let sent = traffic.end().await;
    log.say("all is accepted");
    Box::pin(world.set_clocks_right(log)).await;
    let (wrong, _) = Box::pin(verdict::judge(&world, &sent, log, size, began)).await;
    log.say(&format!("{} daemons were started", world.starter.started()));
    assert!(
        wrong.is_empty(),
        "{} things are wrong with seed {}:\n{}",
        wrong.len(),
        plan.seed,
        wrong.join("\n")
    );
}

/// Waits until each instance has a connection.
async fn until_served(world: &World, log: Log, patience: Duration) {
    let served = look_for(LOOK, patience, async || {
        let without = world.without_connection().await;
        if without.is_empty() { Ok(()) } else { Err(without) }
    });
    served.await.unwrap_or_else(|without| {
        panic!(
            "{} instances are not connected after {} s: {}",
            without.len(),
            patience.as_secs(),
            without.join(", ")
        )
    });
    log.say("all are connected");
}

/// The seed that `WAXWING_CHAOS_SEED` names.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this suite that reads environment variables"
)]
fn seed() -> u64 {
    let Ok(text) = std::env::var("WAXWING_CHAOS_SEED") else {
        return SEED;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("WAXWING_CHAOS_SEED is no number: {text}"))
}
