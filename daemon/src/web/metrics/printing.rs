//! Prints the daemon's numbers for CloudWatch, once a minute.
//!
//! Whatever reads the lines may have stalled, and then writing to it does not end. So a thread of its own writes them, and the daemon
//! never waits for that thread, but for a second at its end. Where it cannot take a minute's numbers, they are told with the next ones: of
//! a counter a line tells the rise since the last line.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Metrics;
use super::embedded::Told;

/// How often the numbers are printed.
pub const PERIOD: Duration = Duration::from_mins(1);

/// How long the last lines may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The printing of a daemon's numbers.
#[derive(Debug)]
pub struct Printing {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Printing {
    /// Prints to `out` each `period` from now on. Fails where the system gives no thread.
    pub fn start(
        metrics: Arc<Metrics>,
        mut out: impl Write + Send + 'static,
        period: Duration,
    ) -> io::Result<Self> {
        // One minute is being written, and one waits.
        let (minutes, mut taken) = mpsc::channel::<String>(1);
        let (wrote_all, ended) = oneshot::channel();
        let writing = move || {
            while let Some(lines) = taken.blocking_recv() {
                if let Err(error) = out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
                    warn!(%error, "the metrics of a minute could not be printed");
                }
            }
            // Whoever has waited for too long has gone.
            let _ = wrote_all.send(());
        };
        thread::Builder::new()
            .name("embedded-metrics".to_owned())
            .spawn(writing)?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(print(metrics, period, minutes, ended, stop.clone()));
        Ok(Self { stop, task })
    }

    /// Prints what has come since the last minute, and ends. It takes a second at most.
    pub async fn end(self) {
        self.stop.cancel();
        // It ends in any case; what a panic has ended was told by the panic.
        let _ = self.task.await;
    }
}

async fn print(
    metrics: Arc<Metrics>,
    period: Duration,
    minutes: mpsc::Sender<String>,
    ended: oneshot::Receiver<()>,
    stop: CancellationToken,
) {
    let mut told = Told::default();
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_last = tokio::select! {
            () = stop.cancelled() => true,
            _ = ticks.tick() => false,
        };
        if let Ok(place) = minutes.try_reserve() {
            place.send(metrics.lines(&mut told));
        } else {
            warn!("the metrics of a minute are told with the next: nobody reads standard output");
        }
        if is_last {
            break;
        }
    }
    drop(minutes);
    let _ = timeout(LAST_LINES, ended).await;
}
