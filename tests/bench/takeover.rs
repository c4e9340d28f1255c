//! How long instances go without a daemon: after one is killed, and while shards are handed over as planned.
//!
//! Several daemons, each a process of its own, share the shards of one table and its queues. Each instance writes to a phone all the
//! while. The table, the queues, the API and the sandbox are in this process, whose work has a part in all times.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::DateTime;
use futures::{StreamExt as _, stream};
use sandbox::{Config, Sandbox};
use shared::clock::{Clock as _, SystemClock};
use shared::domain::shard::Shard;
use testbed::wait::look_for;
use tests::daemon_process::DaemonProcess;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fleet::{Fleet, Line};
use crate::report::ms;
use crate::traffic::Traffic;

/// How often the leases are read, and so how exact the times without an owner are.
const LOOK: Duration = Duration::from_millis(20);

/// The time between two texts of an instance.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many instances are made ready at once.
const AT_ONCE: usize = 4;

/// How long shards may take to be spread evenly.
const PATIENCE: Duration = Duration::from_mins(3);

/// The most rounds. An instance may send 10,000 texts in a month.
const MOST_ROUNDS: usize = 100;

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Size {
    /// Daemons, two at least
    #[arg(long, default_value_t = 3)]
    daemons: usize,
    /// Rounds: in each a daemon is killed, and another one is stopped in order
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Instances, of all daemons together
    #[arg(long, default_value_t = 30)]
    instances: usize,
    /// Shards, of all daemons together
    #[arg(long, default_value_t = 12)]
    shards: u32,
}

/// Measures; answers whether every text came, and the shards were spread evenly each time.
pub async fn run(size: &Size) -> bool {
    let address = "127.0.0.1:0".parse().expect("an address");
    let sandbox = Sandbox::start(Config::new(address)).await.expect("a sandbox");
    let (clients, admin) = (sandbox.ws_url(), sandbox.admin_url());
    let fleet = Box::pin(Fleet::start(&clients, &admin, size.shards, Vec::new())).await;
    let Some(mut stage) = Box::pin(Stage::set(&sandbox, fleet, size)).await else {
        return false;
    };
    let (mut figures, mut is_whole) = (Figures::default(), true);
    for _ in 0..size.rounds.min(MOST_ROUNDS) {
        if Box::pin(stage.round(&mut figures)).await.is_none() {
            is_whole = false;
            break;
        }
    }
    figures.print();
    if is_whole {
        is_whole = stage.end().await;
    }
    is_whole
}

/// How long things took.
#[derive(Default)]
struct Figures {
    /// From a kill until the next text of each instance of the dead daemon.
    next_texts: Vec<Duration>,
    /// From a kill until the others had the dead daemon's shards.
    after_kills: Vec<Duration>,
    /// From a daemon's start until it had its share.
    after_starts: Vec<Duration>,
    /// From a request to stop until the others had the daemon's shards.
    after_stops: Vec<Duration>,
    /// How long each shard of a daemon that was stopped had no owner.
    without_owner: Vec<Duration>,
    /// The slowest text of each instance of a daemon that was stopped.
    slowest_texts: Vec<Duration>,
}

impl Figures {
    fn print(self) {
        println!(
            "{:<58} {:>5} {:>9} {:>9} {:>9}",
            "", "n", "p50 s", "p90 s", "worst s"
        );
        for (name, mut took) in [
            ("kill -9 to an instance's next text", self.next_texts),
            ("kill -9 to an even spread", self.after_kills),
            ("a daemon's start to an even spread", self.after_starts),
            ("SIGTERM to an even spread", self.after_stops),
            ("a shard without an owner after SIGTERM", self.without_owner),
            ("an instance's slowest text after SIGTERM", self.slowest_texts),
        ] {
            took.sort_unstable();
            let seconds = |percent| ms(&took, percent) / 1_000.0;
            println!(
                "{name:<58} {:>5} {:>9.2} {:>9.2} {:>9.2}",
                took.len(),
                seconds(50),
                seconds(90),
                seconds(100)
            );
        }
    }
}

/// A daemon, and what it is called.
struct Daemon {
    name: String,
    process: DaemonProcess,
}

/// All that takes part.
struct Stage {
    fleet: Fleet,
    /// Oldest first.
    daemons: Vec<Daemon>,
    /// The shard of each instance.
    shards: Vec<Shard>,
    traffic: Traffic,
}

impl Stage {
    /// Starts the daemons, and has the instances write; `None` where something does not come up.
    async fn set(sandbox: &Sandbox, fleet: Fleet, size: &Size) -> Option<Self> {
        let mut daemons = Vec::new();
        for _ in 0..size.daemons.max(2) {
            daemons.push(start(&fleet).await);
        }
        until_even(&fleet, &daemons).await?;
        let pairing = stream::iter(0..size.instances.max(1)).map(|_| fleet.pair());
        let lines: Vec<Line> = pairing.buffer_unordered(AT_ONCE).collect().await;
        if !fleet.until_connected(lines.len()).await {
            return None;
        }
        let mut traffic = Traffic::start(sandbox, &lines, INTERVAL).await;
        let all: Vec<usize> = (0..lines.len()).collect();
        let firsts = traffic.next_of_each(&all, DateTime::UNIX_EPOCH).await;
        if firsts.len() < all.len() {
            println!("{} of {} instances send", firsts.len(), all.len());
            return None;
        }
        Some(Self {
            fleet,
            daemons,
            shards: lines.into_iter().map(|line| line.shard).collect(),
            traffic,
        })
    }

    /// Kills a daemon and starts another one, then stops one in order and starts another one; `None` where something does not
    /// come.
    async fn round(&mut self, figures: &mut Figures) -> Option<()> {
        self.kill(figures).await?;
        self.join(figures).await?;
        self.stop(figures).await?;
        self.join(figures).await
    }

    async fn kill(&mut self, figures: &mut Figures) -> Option<()> {
        let Daemon { name, process } = self.daemons.remove(0);
        let held = self.instances_of(&name).await;
        let (began, at) = (Instant::now(), SystemClock.now());
        process.kill().await;
        // What is asked for from here on, the dead daemon has not sent.
        let since = SystemClock.now();
        let Self {
            fleet,
            daemons,
            traffic,
            ..
        } = self;
        let (even, nexts) = tokio::join!(until_even(fleet, daemons), traffic.next_of_each(&held, since));
        figures.after_kills.push(even? - began);
        let times = nexts
            .values()
            .map(|next| (*next - at).to_std().unwrap_or_default());
        figures.next_texts.extend(times);
        if nexts.len() < held.len() {
            println!(
                "{} of {} instances send again after a kill",
                nexts.len(),
                held.len()
            );
            return None;
        }
        self.traffic.settle().await.then_some(())
    }

    async fn join(&mut self, figures: &mut Figures) -> Option<()> {
        let began = Instant::now();
        self.daemons.push(start(&self.fleet).await);
        let even = until_even(&self.fleet, &self.daemons).await?;
        figures.after_starts.push(even - began);
        self.traffic.settle().await.then_some(())
    }

    async fn stop(&mut self, figures: &mut Figures) -> Option<()> {
        let Daemon { name, process } = self.daemons.remove(0);
        let held = self.instances_of(&name).await;
        let since = SystemClock.now();
        let (began, is_over) = (Instant::now(), CancellationToken::new());
        let (fleet, daemons) = (&self.fleet, &self.daemons);
        let spreading = async {
            let (even, ()) = tokio::join!(until_even(fleet, daemons), process.stop());
            is_over.cancel();
            even
        };
        let (even, gaps) = tokio::join!(spreading, gaps(fleet, &name, &is_over));
        figures.after_stops.push(even? - began);
        figures.without_owner.extend(gaps.into_values());
        if !self.traffic.settle().await {
            return None;
        }
        let slowest = self.traffic.slowest_of_each(&held, since);
        figures.slowest_texts.extend(slowest);
        Some(())
    }

    /// The instances whose shards a daemon has.
    async fn instances_of(&self, daemon: &str) -> Vec<usize> {
        let leases = self.fleet.leases().await;
        let held = leases
            .into_iter()
            .filter(|lease| lease.owner.as_deref() == Some(daemon));
        let held: BTreeSet<Shard> = held.map(|lease| lease.shard).collect();
        let all = self.shards.iter().enumerate();
        all.filter(|(_, shard)| held.contains(shard))
            .map(|(instance, _)| instance)
            .collect()
    }

    /// Ends the traffic and the daemons, in this order; answers whether every text has come.
    async fn end(self) -> bool {
        let is_whole = self.traffic.end().await;
        for daemon in self.daemons {
            daemon.process.stop().await;
        }
        is_whole
    }
}

async fn start(fleet: &Fleet) -> Daemon {
    let process = fleet.daemon().await;
    Daemon {
        name: process.name(),
        process,
    }
}

/// Waits until these daemons have all shards, and none has two more than another. Answers when that was; `None` where it does
/// not come to it.
async fn until_even(fleet: &Fleet, daemons: &[Daemon]) -> Option<Instant> {
    let even = look_for(LOOK, PATIENCE, async || {
        is_even(fleet, daemons).await.then(Instant::now)
    });
    let even = even.await;
    if even.is_none() {
        println!("the shards are not spread evenly");
    }
    even
}

async fn is_even(fleet: &Fleet, daemons: &[Daemon]) -> bool {
    let mut counts: BTreeMap<&str, u32> = daemons.iter().map(|daemon| (daemon.name.as_str(), 0)).collect();
    let leases = fleet.leases().await;
    for lease in &leases {
        let Some(owner) = lease.owner.as_deref() else {
            return false;
        };
        let Some(count) = counts.get_mut(owner) else {
            return false;
        };
        *count += 1;
    }
    let (fewest, most) = (counts.values().min(), counts.values().max());
    let difference = most.zip(fewest).map(|(most, fewest)| most - fewest);
    leases.len() == fleet.shards() && difference.is_some_and(|difference| difference <= 1)
}

/// Until `is_over`: how long each shard that this daemon had was without an owner.
async fn gaps(fleet: &Fleet, daemon: &str, is_over: &CancellationToken) -> BTreeMap<Shard, Duration> {
    let mut owners: BTreeMap<Shard, String> = BTreeMap::new();
    let mut given: BTreeMap<Shard, Instant> = BTreeMap::new();
    let mut longest = BTreeMap::new();
    loop {
        let (is_last, now) = (is_over.is_cancelled(), Instant::now());
        for lease in fleet.leases().await {
            let last = owners.get(&lease.shard).map(String::as_str);
            match lease.owner {
                // It may have been given and taken between two looks.
                Some(owner) if last == Some(daemon) && owner != daemon => {
                    let since = given.remove(&lease.shard).unwrap_or(now);
                    longest.insert(lease.shard, now - since);
                    owners.insert(lease.shard, owner);
                }
                Some(owner) => {
                    owners.insert(lease.shard, owner);
                }
                None if last == Some(daemon) => {
                    given.entry(lease.shard).or_insert(now);
                }
                None => {}
            }
        }
        if is_last {
            return longest;
        }
        tokio::time::sleep(LOOK).await;
    }
}
