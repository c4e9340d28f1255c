//! Whether the trouble of one instance holds up the others.
//!
//! One daemon, a process of its own, has all instances. Most of them write at a steady rate all the while: at first with nothing
//! beside them, then beside one trouble after the other, and in the end with nothing again. The table, the queues, the API and the
//! sandbox are in this process, whose work has a part in all times: read the ratios.

use std::future::{Ready, ready};
use std::time::Duration;

use chrono::DateTime;
use futures::{StreamExt as _, stream};
use sandbox::{Config, Sandbox};
use shared::clock::{Clock as _, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::fleet::{Fleet, Line};
use crate::report::ms;
use crate::traffic::Traffic;
use crate::troubles::{Scene, Trouble};

/// How many instances are made ready at once.
const AT_ONCE: usize = 4;

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Size {
    /// Instances that have no trouble themselves
    #[arg(long, default_value_t = 20)]
    instances: usize,
    /// Shards, all of one daemon
    #[arg(long, default_value_t = 4)]
    shards: u32,
    /// Texts a second of all these instances together
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    rate: u32,
    /// How long each trouble lasts, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=180))]
    seconds: u64,
    /// Texts of the flood that wait at any time
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=9_000))]
    flood: u32,
}

/// Measures; answers whether every text came and every trouble has struck.
pub async fn run(size: &Size) -> bool {
    let address = "127.0.0.1:0".parse().expect("an address");
    let sandbox = Sandbox::start(Config::new(address)).await.expect("a sandbox");
    let (clients, admin) = (sandbox.ws_url(), sandbox.admin_url());
    let fleet = Box::pin(Fleet::start(&clients, &admin, size.shards.max(1), Vec::new())).await;
    // Between the daemon and the table alone: the API takes the texts of an instance whose table is in trouble.
    let daemon = fleet.daemon_on(fleet.stores.table.endpoint()).await;
    let is_whole = Box::pin(measure(&sandbox, &fleet, size)).await.is_some();
    if is_whole {
        daemon.stop().await;
    }
    is_whole
}

/// Prints a row for each trouble; `None` where something does not come.
async fn measure(sandbox: &Sandbox, fleet: &Fleet, size: &Size) -> Option<()> {
    let others = paired(fleet, size.instances.max(1)).await;
    let troubled = paired(fleet, Trouble::ALL.len()).await;
    if !fleet.until_connected(others.len() + troubled.len()).await {
        return None;
    }
    let count = u32::try_from(others.len()).expect("small");
    let mut traffic = Traffic::start(sandbox, &others, Duration::from_secs(1) * count / size.rate).await;
    let all: Vec<usize> = (0..others.len()).collect();
    let firsts = traffic.next_of_each(&all, DateTime::UNIX_EPOCH).await;
    if firsts.len() < all.len() || !traffic.settle().await {
        println!("{} of {} instances send", firsts.len(), all.len());
        return None;
    }
    let scene = Scene {
        sandbox,
        fleet,
        others: &others,
        flood: usize::try_from(size.flood).expect("small"),
    };
    let lasts = Duration::from_secs(size.seconds);
    print_head();
    let quiet = beside(&mut traffic, lasts, nothing).await?;
    quiet.print("nothing", &quiet);
    for (trouble, line) in Trouble::ALL.into_iter().zip(&troubled) {
        let befalling = async |over: &CancellationToken| scene.befall(trouble, line, over).await;
        let row = Box::pin(beside(&mut traffic, lasts, befalling)).await?;
        row.print(trouble.name(), &quiet);
    }
    let again = beside(&mut traffic, lasts, nothing).await?;
    again.print("nothing, once more", &quiet);
    traffic.end().await.then_some(())
}

/// No trouble at all.
fn nothing(_: &CancellationToken) -> Ready<Option<u64>> {
    ready(Some(0))
}

/// Instances whose owners may send as many texts in a month as anybody may.
async fn paired(fleet: &Fleet, instances: usize) -> Vec<Line> {
    let pairing = stream::iter(0..instances).map(|_| async move {
        let line = fleet.pair().await;
        fleet.allow_most(&line).await;
        line
    });
    pairing.buffer_unordered(AT_ONCE).collect().await
}

/// Has the others write beside something that lasts so long; `None` where something does not come.
async fn beside(
    traffic: &mut Traffic,
    lasts: Duration,
    befalling: impl AsyncFnOnce(&CancellationToken) -> Option<u64>,
) -> Option<Row> {
    let (over, since) = (CancellationToken::new(), SystemClock.now());
    let waiting = async {
        tokio::time::sleep(lasts).await;
        let until = SystemClock.now();
        over.cancel();
        until
    };
    let (until, struck) = tokio::join!(waiting, befalling(&over));
    let struck = struck?;
    if !traffic.settle().await {
        return None;
    }
    let mut took = traffic.took(since, until);
    took.sort_unstable();
    Some(Row { took, struck })
}

/// How the others' texts fared beside one trouble, or beside none.
struct Row {
    /// How long each took, in order.
    took: Vec<Duration>,
    /// How often the trouble has struck.
    struck: u64,
}

/// The titles of the rows.
fn print_head() {
    println!(
        "{:<40} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "others' texts beside", "n", "p50 ms", "p99 ms", "worst ms", "p99 ratio", "struck"
    );
}

impl Row {
    fn print(&self, name: &str, quiet: &Self) {
        let at = |percent| ms(&self.took, percent);
        println!(
            "{name:<40} {:>7} {:>9.1} {:>9.1} {:>9.1} {:>9.2} {:>9}",
            self.took.len(),
            at(50),
            at(99),
            at(100),
            at(99) / ms(&quiet.took, 99),
            self.struck
        );
    }
}
