//! What an idle instance costs a daemon, and how a daemon begins with many.
//!
//! The daemon is a process of its own, and so is the sandbox. The table, the queues and the API are in this process. Instances
//! are paired once and stay: each size adds to the one before. Starts are timed while the daemon reaches the table directly.
//! What they ask of it is counted at another start, over a relay that takes time of its own.

use std::time::Duration;

use axum::http::Method;
use futures::{StreamExt as _, stream};
use shared::config::SESSION_STARTS;
use testbed::caller::Caller;
use testbed::relay::Relay;
use testbed::relay::meter::{Bill, Charge, sum};
use tests::daemon_process::DaemonProcess;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cpu::cpu;
use crate::fleet::{Fleet, Network, may_open};
use crate::memory::Memory;
use crate::report::{count, ms};

/// What the API is asked while instances connect: it makes two requests to the table.
const ROUTE: &str = "/api/stats";

/// Files and sockets that a daemon opens besides its instances' connections.
const OTHER_FILES: usize = 500;

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Size {
    /// Instances, a row for each number
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 3_000])]
    instances: Vec<usize>,
    /// Shards, all of one daemon
    #[arg(long, default_value_t = 4)]
    shards: u32,
    /// Sessions that the daemon begins at once
    #[arg(long, default_value_t = SESSION_STARTS)]
    starts: usize,
    /// Instances that are paired at once
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Requests a second to the API while instances connect
    #[arg(long, default_value_t = 20)]
    rate: u32,
    /// How long a daemon is left alone before it is measured, in seconds
    #[arg(long, default_value_t = 60)]
    settle: u64,
    /// How long an idle daemon is watched, in seconds; its sweeps come once a minute
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Measures with so many instances, in rising order; answers whether each was connected whenever it was to be.
pub async fn run(size: &Size) -> bool {
    let mut sizes = size.instances.clone();
    sizes.retain(|instances| *instances > 0);
    sizes.sort_unstable();
    sizes.dedup();
    let Some(most) = sizes.last() else {
        println!("no instances are to be measured");
        return false;
    };
    if !may_open(most + OTHER_FILES) {
        return false;
    }
    let network = Network::start().await;
    let variables = vec![("WAXWING_SESSION_STARTS", size.starts.to_string())];
    let starting = Fleet::start(&network.clients, &network.admin, size.shards, variables);
    let fleet = Box::pin(starting).await;
    let mut bench = Bench {
        size,
        fleet,
        keys: Vec::new(),
        daemon: None,
    };
    print_head();
    let mut last = None;
    for instances in sizes {
        let Some(row) = Box::pin(bench.measure(instances)).await else {
            return false;
        };
        row.print();
        last = Some(row);
    }
    if let Some(row) = last {
        row.print_start();
    }
    network.end().await;
    true
}

/// The instances that were paired so far, and the daemon that has them. Between two sizes there is none.
struct Bench<'a> {
    size: &'a Size,
    fleet: Fleet,
    /// A caller with a key of each instance.
    keys: Vec<Caller>,
    daemon: Option<DaemonProcess>,
}

impl Bench<'_> {
    /// The row of so many instances; `None` where not all of them connect.
    async fn measure(&mut self, instances: usize) -> Option<Row> {
        // Half of them, or all of the size before, are in a daemon that has paired none of them.
        self.restart().await?;
        if self.keys.len() < instances / 2 {
            self.pair_up_to(instances / 2).await?;
            self.restart().await?;
        }
        let before = self.keys.len();
        let fewer = self.settled().await;

        self.pair_up_to(instances).await?;
        let paired = self.settled().await;

        let (connected_in, answers) = self.timed_restart().await?;
        let memory = self.settled().await;
        let process = self.daemon().id();
        let from = (cpu(&[process]), Instant::now());
        tokio::time::sleep(Duration::from_secs(self.size.seconds)).await;
        let busy = cpu(&[process]).saturating_sub(from.0);
        let load = busy.as_secs_f64() / from.1.elapsed().as_secs_f64();

        let (start, idle) = self.counted_restart().await?;
        let more = count(instances - before);
        Some(Row {
            instances,
            connected_in,
            answers,
            memory,
            each: memory.each_since(fewer, more),
            paired: paired.each_since(fewer, more),
            load,
            start,
            idle,
            watched: self.size.seconds,
        })
    }

    /// Pairs until there are so many instances, and waits until all are connected.
    async fn pair_up_to(&mut self, instances: usize) -> Option<()> {
        let (fleet, more) = (&self.fleet, instances.saturating_sub(self.keys.len()));
        let pairing = stream::iter(0..more).map(|_| fleet.pair());
        let lines: Vec<_> = pairing.buffer_unordered(self.size.at_once.max(1)).collect().await;
        self.keys.extend(lines.into_iter().map(|line| line.key));
        self.connected().await
    }

    /// Waits until every instance is connected.
    async fn connected(&self) -> Option<()> {
        let are_there = self.fleet.until_connected(self.keys.len()).await;
        are_there.then_some(())
    }

    /// Ends the daemon in order.
    async fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
    }

    fn daemon(&self) -> &DaemonProcess {
        self.daemon.as_ref().expect("it was started")
    }

    /// The daemon's memory once it was left alone.
    async fn settled(&self) -> Memory {
        tokio::time::sleep(Duration::from_secs(self.size.settle)).await;
        Memory::of(self.daemon().id())
    }

    /// Ends the daemon and starts another one.
    async fn restart(&mut self) -> Option<()> {
        self.stop().await;
        self.daemon = Some(self.fleet.daemon().await);
        self.connected().await
    }

    /// The same, while the API is asked. Answers how long it took from the process's start until all were connected.
    async fn timed_restart(&mut self) -> Option<(Duration, Answers)> {
        self.stop().await;
        let (fleet, keys) = (&self.fleet, &self.keys);
        let (are_there, began) = (CancellationToken::new(), Instant::now());
        let connecting = async {
            let daemon = fleet.daemon().await;
            let connected = fleet.until_connected(keys.len()).await;
            let took = began.elapsed();
            are_there.cancel();
            (daemon, connected.then_some(took))
        };
        let asking = ask(keys, self.size.rate.max(1), &are_there);
        let ((daemon, took), answers) = tokio::join!(connecting, asking);
        self.daemon = Some(daemon);
        Some((took?, answers))
    }

    /// The same with what is asked of the table counted: until the daemon was left alone for a while after its start, and while
    /// it is idle.
    async fn counted_restart(&mut self) -> Option<(Bill, Bill)> {
        self.stop().await;
        let relay = Relay::metering(self.fleet.table()).await;
        self.daemon = Some(self.fleet.daemon_on(relay.endpoint()).await);
        self.connected().await?;
        tokio::time::sleep(Duration::from_secs(self.size.settle)).await;
        let start = relay.settled_bill().await;
        tokio::time::sleep(Duration::from_secs(self.size.seconds)).await;
        let idle = relay.settled_bill().await;
        // It needs the relay to end in order.
        self.stop().await;
        Some((start, idle))
    }
}

/// What the API has answered.
struct Answers {
    /// How long each answer took, in order.
    took: Vec<Duration>,
    /// How many requests had no answer, or an error.
    failed: usize,
}

/// Asks the API so often a second, with the keys in turn. An answer's time counts from when its request was due.
async fn ask(keys: &[Caller], rate: u32, stop: &CancellationToken) -> Answers {
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for (n, key) in (0_u32..).zip(keys.iter().cycle()) {
        let due = began + Duration::from_secs(1) * n / rate;
        let waiting = tokio::time::sleep_until(due);
        if stop.run_until_cancelled(waiting).await.is_none() {
            break;
        }
        let key = key.clone();
        asking.spawn(async move {
            let answer = key.try_request(Method::GET, ROUTE, ()).await;
            let is_answered = answer.is_ok_and(|answer| answer.is_success());
            is_answered.then(|| due.elapsed())
        });
    }
    let answers = asking.join_all().await;
    let mut took: Vec<_> = answers.iter().flatten().copied().collect();
    took.sort_unstable();
    Answers {
        failed: answers.len() - took.len(),
        took,
    }
}

/// What so many instances came to.
struct Row {
    instances: usize,
    /// From the daemon's start until all were connected.
    connected_in: Duration,
    /// What the API answered meanwhile.
    answers: Answers,
    /// Of a daemon that has begun with all of them.
    memory: Memory,
    /// What each takes beyond the fewer ones, in a daemon that has begun with it.
    each: Memory,
    /// The same in the daemon that has paired it.
    paired: Memory,
    /// The processors that the idle daemon takes.
    load: f64,
    /// What a start asks of the table.
    start: Bill,
    /// What the idle daemon asks of it.
    idle: Bill,
    /// For how long that was counted, in seconds.
    watched: u64,
}

/// The titles of the rows.
fn print_head() {
    println!(
        "{:>9} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>6} {:>8} {:>8} {:>8} {:>9}",
        "instances",
        "start s",
        "API p50",
        "API p99",
        "failed",
        "RSS MiB",
        "PSS MiB",
        "KiB each",
        "anon each",
        "paired",
        "anon",
        "CPU %",
        "requests",
        "writes",
        "reads",
        "idle/min"
    );
}

impl Row {
    fn print(&self) {
        let start = Each::of(sum(&self.start, is_of_instances), self.instances);
        let idle = Each::of(sum(&self.idle, is_of_instances), self.instances);
        let minutes = Duration::from_secs(self.watched.max(1)).as_secs_f64() / 60.0;
        println!(
            "{:>9} {:>8.1} {:>8.1} {:>8.1} {:>6} {:>8.1} {:>8.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>6.1} {:>8.1} {:>8.1} {:>8.1} {:>9.2}",
            self.instances,
            self.connected_in.as_secs_f64(),
            ms(&self.answers.took, 50),
            ms(&self.answers.took, 99),
            self.answers.failed,
            self.memory.resident / 1_024.0,
            self.memory.proportional / 1_024.0,
            self.each.resident,
            self.each.anonymous,
            self.paired.resident,
            self.paired.anonymous,
            self.load * 100.0,
            start.requests,
            start.writes,
            start.reads,
            idle.requests / minutes,
        );
    }

    /// Prints what one start asks of the table, by what it is about.
    fn print_start(&self) {
        println!(
            "\n{:<24} {:>9} {:>9} {:>9}",
            "one start", "requests", "writes", "reads"
        );
        for (subject, charge) in &self.start {
            let each = Each::of(*charge, self.instances);
            println!(
                "{subject:<24} {:>9.2} {:>9.2} {:>9.2}",
                each.requests, each.writes, each.reads
            );
        }
    }
}

/// A part of what is asked of the table: requests, write units and read units.
struct Each {
    requests: f64,
    writes: f64,
    reads: f64,
}

impl Each {
    /// The part of one of so many instances.
    fn of(charge: Charge, instances: usize) -> Self {
        let part = |all: u64| f64::from(u32::try_from(all).expect("small")) / count(instances);
        Self {
            requests: part(charge.calls),
            writes: part(charge.units.writes),
            reads: part(charge.units.half_reads) / 2.0,
        }
    }
}

/// Whether what is asked about this is asked for instances. Leases and beats are read and written however many there are.
fn is_of_instances(subject: &str) -> bool {
    !matches!(subject, "leases" | "daemons")
}
