//! The daemon as a process of its own: configured by the environment, ended by a signal.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, process};

use anyhow::Context as _;
use shared::bucket::Bucket;
use shared::clock::Clock;
use shared::queue::QueueNames;
use shared::queue::sqs::SqsQueue;
use shared::seal::{self, Sealer};
use shared::storage::Table;
use shared::{aws, config, shutdown, telemetry, trace};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use crate::app::{App, Parts, Sessions};
use crate::clock::TableClock;
use crate::lease::HeldShards;
use crate::web::metrics::printing::{self, Printing};
use crate::whatsapp::{NETWORK, Settings};
use crate::{files, web, whatsapp};

/// How long open requests may take to end when the daemon stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// How long a daemon that gave up may take to end in order. Its connections have no deadline of their own.
const LAST_MOMENTS: Duration = Duration::from_secs(20);

/// How long the log may take to take a last line. What reads it may have stalled, and then writing to it never ends.
const LAST_LINE: Duration = Duration::from_secs(1);

/// How often it is seen whether a daemon gave up.
const SIGHT: Duration = Duration::from_secs(1);

/// Runs a daemon with this clock until a signal asks it to stop. See `shared::config` for its variables.
pub async fn run(clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    telemetry::start(telemetry::Format::Json);
    trace::start("waxwing-daemon")?;
    let config = config::daemon()?;
    let sandbox_ca = config.sandbox_ca.as_deref().map(read_ca).transpose()?;
    let aws_config = aws::from_environment().await;
    let table = Table::new(&aws_config, &config.common.table);
    // The SDK keeps credentials with a configuration, and callers wait while one of them fetches. The leases must not wait
    // for a busy runtime, so they have a configuration of their own.
    let leases = Table::new(&aws::from_environment().await, table.name());
    let (clock, _keeping) = if config.corrects_clock {
        let (clock, keeping) = keep_right(clock, table.clone()).await;
        (clock, Some(keeping))
    } else {
        (clock, None)
    };
    let wrapper = seal::wrapper(&aws_config, &config.wrapping).context("the wrapping key")?;
    let sealer = Arc::new(Sealer::new(table.clone(), wrapper));
    let bucket = Bucket::open(
        &aws_config,
        &config.bucket,
        Arc::clone(&sealer),
        Arc::clone(&clock),
    )?;
    let parts = Parts {
        sealer,
        bucket,
        beats: leases.apart(),
        leases: leases.apart(),
        table,
        queue: Arc::new(SqsQueue::from_config(&aws_config)),
        names: QueueNames::new(config.common.queue_prefix, NETWORK.as_str())?,
        clock,
        shards: config.common.shards,
        lease: config.lease,
        starts: config.starts,
        queue_limits: config.queue_limits,
        network: config.network.unwrap_or(NETWORK),
        sessions: Sessions::WhatsApp(Settings::for_network(&config.sandbox_url).with_sandbox_ca(sandbox_ca)),
        files: files::Settings {
            reach: config.reach,
            folder: config.spool,
            ..files::Settings::default()
        },
        realtime: config.realtime,
    };
    let app = App::start(parts).await?;
    let stop = shutdown::on_signal()?;
    let serving = match config.listen {
        Some(address) => {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("WAXWING_LISTEN: cannot listen on {address}"))?;
            info!(%address, "the daemon listens");
            // It goes on while the shards are handed over: until then the daemon lives.
            let (routes, ended) = (app.routes(), CancellationToken::new());
            let serving = tokio::spawn(web::serve(listener, routes, ended.clone()));
            Some((serving, ended))
        }
        None => None,
    };
    let printing = config
        .emf
        .then(|| Printing::start(app.counts(), io::stdout(), printing::PERIOD))
        .transpose()
        .context("a thread that prints metrics")?;
    let holding = app.holding();
    end_where_stuck(holding.clone()).context("a thread that ends the process")?;
    Box::pin(app.run(stop)).await;
    if let Some(printing) = printing {
        printing.end().await;
    }
    if let Some((serving, ended)) = serving {
        ended.cancel();
        if tokio::time::timeout(LAST_ANSWERS, serving).await.is_err() {
            warn!("some requests did not end in time");
        }
    }
    trace::end().await;
    if holding.is_stuck() {
        // What does not end may hold up an orderly end of the process too.
        error!("ending the process, since a shard whose lease was lost is served still");
        process::exit(1);
    }
    Ok(())
}

/// The machine's clock, corrected by the table's while the task runs.
async fn keep_right(machine: Arc<dyn Clock>, table: Table) -> (Arc<dyn Clock>, AbortOnDropHandle<()>) {
    let clock = Arc::new(TableClock::new(machine));
    clock.begin(&table).await;
    if !whatsapp::go_by(Arc::clone(&clock) as Arc<dyn Clock>) {
        warn!("the WhatsApp library goes by another clock");
    }
    let kept = Arc::clone(&clock);
    let keeping = tokio::spawn(async move { kept.keep(&table).await });
    (clock, AbortOnDropHandle::new(keeping))
}

/// Ends the process with status 1 when 20 s have passed since the daemon gave up (see [`HeldShards::is_stuck`]), unless it
/// has ended by then. This needs nothing of the runtime, whose threads may be what does not end, nor of the log. Fails
/// where the system gives no thread.
pub fn end_where_stuck(holding: HeldShards) -> io::Result<()> {
    after_giving_up(holding, LAST_MOMENTS, || {
        within(LAST_LINE, || {
            error!("ending the process, since a daemon that gave up does not end");
        });
        process::exit(1);
    })?;
    Ok(())
}

/// Does something that may block, and waits so long for it at most. It is left out where the system gives no thread.
fn within(patience: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, end) = mpsc::channel();
    let working = move || {
        work();
        // Whoever has waited for too long has gone.
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(working).is_ok() {
        let _ = end.recv_timeout(patience);
    }
}

/// Calls `end` so long after the daemon gave up, on a thread of its own.
fn after_giving_up(
    holding: HeldShards,
    moments: Duration,
    end: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let waiting = move || {
        while !holding.is_stuck() {
            thread::sleep(SIGHT);
        }
        thread::sleep(moments);
        end();
    };
    thread::Builder::new()
        .name("last-resort".to_owned())
        .spawn(waiting)
}

fn read_ca(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("WAXWING_SANDBOX_CA: cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_gave_up_is_ended_whatever_else_goes_on() {
        let holding = HeldShards::default();
        let (sender, ended) = mpsc::channel();
        let seen = holding.clone();
        let thread = after_giving_up(holding.clone(), Duration::ZERO, move || {
            sender.send(seen.is_stuck()).expect("it is waited for");
        });
        holding.give_up();
        assert!(ended.recv().expect("the end"), "not before it gave up");
        thread.expect("a thread").join().expect("no panic");
    }

    #[test]
    fn what_blocks_is_not_waited_for_and_what_ends_is() {
        let (let_go, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        // It blocks until the test lets it go.
        within(Duration::ZERO, move || {
            tell.send(held.recv()).expect("the test waits");
        });
        assert!(told.try_recv().is_err(), "it blocks still");
        let_go.send(()).expect("it waits");
        assert_eq!(told.recv(), Ok(Ok(())));
        let (tell, told) = mpsc::channel();
        within(Duration::from_mins(1), move || {
            tell.send(()).expect("the test waits");
        });
        assert_eq!(told.try_recv(), Ok(()), "it has ended");
    }
}
