//! Many clients, one network, random faults: no message that was acknowledged is lost or shown twice, and memory stays.
//!
//! Each client (`whatsapp-rust`, its state in memory) is paired with a phone and sends texts to others and to people
//! without a client, at a steady rate. Meanwhile sockets drop before and after acknowledgements, acknowledgements get
//! lost, stanzas are late or doubled, and the server restarts. A sender that hears nothing sends again under the same
//! id, as Waxwing does. In the end every acknowledged message must be in the inbox of its recipient's phone once, with
//! one copy unless it was sent again, and durably taken by the recipient's client. The figures are printed.
//!
//! Without arguments it runs small and short, as a part of `cargo test`; in full:
//!
//! ```sh
//! MALLOC_ARENA_MAX=2 cargo test --workspace --test soak -- --clients 500 --seconds 120 --every 20 --max-growth 1
//! ```
//!
//! The C library's allocator keeps heaps by thread, and what a burst left in each of them; with few heaps the figures
//! tell what is in use.

mod chaos;
mod ledger;
mod memory;
mod network;
mod peer;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use ledger::Ledger;
use network::Network;
use peer::Peer;

/// What has not settled by then, once the sending is over, is lost.
const SETTLE: Duration = Duration::from_mins(5);

/// Clients that pair at the same time.
const PAIRING: usize = 8;

/// Clients that send their first texts at the same time.
const GREETING: usize = 32;

/// The arguments.
#[derive(Debug, Clone, Parser)]
struct Args {
    /// How many clients.
    #[arg(long, default_value_t = 12)]
    clients: usize,
    /// How long they send.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// What the faults and the senders' choices are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two texts of one client, on average.
    #[arg(long, default_value_t = 2)]
    every: u64,
    /// By how many per cent memory may grow in the second half.
    #[arg(long)]
    max_growth: Option<f64>,
    /// What `cargo test` hands to all its targets: with a filter for others nothing runs here.
    #[arg(hide = true, allow_hyphen_values = true, trailing_var_arg = true)]
    libtest: Vec<String>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::parse();
    if !args.libtest.is_empty() {
        return ExitCode::SUCCESS;
    }
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match soak(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn soak(args: &Args) -> anyhow::Result<()> {
    anyhow::ensure!(args.clients >= 2, "--clients is at least 2");
    let directory = tempfile::tempdir().context("a directory for the state")?;
    let network = Network::start(directory.path()).await?;
    let length = Duration::from_secs(args.seconds);
    let expected = args.clients * usize::try_from(args.seconds / args.every + 6)?;
    let ledger = Arc::new(Ledger::with_room(2 * expected));

    let begun = Instant::now();
    let peers = pair(args, &network, &ledger).await?;
    let people = network.people((args.clients / 10).max(1)).await?;
    println!(
        "{} clients paired in {:.1} s, {:.0} MB",
        peers.len(),
        begun.elapsed().as_secs_f64(),
        memory::resident_mb()?
    );

    let recipients: Arc<[String]> = peers
        .iter()
        .map(|peer| peer.phone.clone())
        .chain(people)
        .collect();
    let over = CancellationToken::new();
    let senders = TaskTracker::new();
    let plans = (0..peers.len()).map(|number| peer::Plan {
        number,
        recipients: Arc::clone(&recipients),
        clients: peers.len(),
        every: Duration::from_secs(args.every),
        seed: args.seed,
        over: over.clone(),
    });
    let plans: Vec<_> = plans.collect();
    let begun = Instant::now();
    let greetings = peers
        .iter()
        .zip(&plans)
        .map(|(peer, plan)| peer.greet(plan, &ledger));
    futures::stream::iter(greetings)
        .buffer_unordered(GREETING)
        .collect::<()>()
        .await;
    println!(
        "first texts acknowledged in {:.1} s, {:.0} MB",
        begun.elapsed().as_secs_f64(),
        memory::resident_mb()?
    );

    for (peer, plan) in peers.iter().zip(plans) {
        senders.spawn(Arc::clone(peer).send_texts(plan, Arc::clone(&ledger)));
    }
    let chaos = tokio::spawn(chaos::run(
        network.sandbox.clone(),
        args.seed,
        length,
        over.clone(),
    ));
    let samples = memory::sample(length).await?;
    over.cancel();
    let restarts = chaos.await.context("the faults' task")??;
    network.sandbox.faults().clear();
    senders.close();
    tokio::time::timeout(SETTLE, senders.wait())
        .await
        .ok()
        .context("senders that are never acknowledged")?;

    let settled = Instant::now();
    let verdict = loop {
        let verdict = ledger.verdict(&network, &recipients, peers.len()).await?;
        if verdict.complete() || settled.elapsed() > SETTLE {
            break verdict;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    println!("{verdict}");
    println!("restarts of the server: {restarts}");
    for (fault, count) in network.struck() {
        println!("fault {fault}: {count}");
    }
    print!("{samples}");
    let stopping = peers.iter().map(|peer| peer.stop());
    futures::future::join_all(stopping).await;
    network.stop().await?;
    verdict.judge()?;
    anyhow::ensure!(restarts > 0, "the server never restarted");
    if let Some(most) = args.max_growth {
        let growth = samples.growth();
        anyhow::ensure!(growth < most, "memory grew by {growth:.2} % in the second half");
    }
    Ok(())
}

async fn pair(args: &Args, network: &Network, ledger: &Arc<Ledger>) -> anyhow::Result<Vec<Arc<Peer>>> {
    let phones = network.people(args.clients).await?;
    let pairing = futures::stream::iter(phones)
        .map(|phone| Peer::paired(network, phone, Arc::clone(ledger)))
        .buffer_unordered(PAIRING);
    let paired: Vec<anyhow::Result<Peer>> = pairing.collect().await;
    paired.into_iter().map(|peer| peer.map(Arc::new)).collect()
}
