//! Holds the jobs of a lane while they are worked on or wait for their instance.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::queue::names::SENDS_VISIBILITY;
use shared::queue::{Queue, QueueError, QueueName, Receipt};
use tokio::time::Instant;
use tracing::warn;

use crate::lease::chain;

/// How often held jobs are looked at.
const INTERVAL: Duration = Duration::from_secs(4);

/// How long jobs are hidden whose instance is not connected: they wait here, and a crash
/// delays them by no more.
const WAITING_VISIBILITY: Duration = Duration::from_mins(1);

/// The receipts of a lane's jobs that are not done.
#[derive(Debug)]
pub struct Held {
    receipts: Mutex<Vec<Receipt>>,
    waiting: AtomicBool,
}

impl Held {
    /// Holds these.
    pub fn new(receipts: Vec<Receipt>) -> Self {
        Self {
            receipts: Mutex::new(receipts),
            waiting: AtomicBool::new(false),
        }
    }

    /// Whether the lane waits for its instance, and is looked after less often.
    pub fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// A job is done, or given back.
    pub fn let_go(&self, receipt: &Receipt) {
        self.receipts
            .lock()
            .expect("no holder panics")
            .retain(|held| held != receipt);
    }

    /// All that was held is given back.
    pub fn let_all_go(&self) -> Vec<Receipt> {
        std::mem::take(&mut *self.receipts.lock().expect("no holder panics"))
    }

    fn remaining(&self) -> Vec<Receipt> {
        self.receipts.lock().expect("no holder panics").clone()
    }

    fn holds(&self, receipt: &Receipt) -> bool {
        self.receipts.lock().expect("no holder panics").contains(receipt)
    }

    /// Extends the visibility time of what is held, for ever. Ends where a receipt is
    /// stale: another consumer has the job.
    pub async fn keep(&self, queue: &dyn Queue, name: &QueueName) {
        let mut ticks = tokio::time::interval_at(Instant::now() + INTERVAL, INTERVAL);
        let mut hidden_until: Option<Instant> = None;
        loop {
            let now = ticks.tick().await;
            let visibility = if self.waiting.load(Ordering::Relaxed) {
                if hidden_until.is_some_and(|until| now + INTERVAL * 3 < until) {
                    continue;
                }
                hidden_until = Some(now + WAITING_VISIBILITY);
                WAITING_VISIBILITY
            } else {
                hidden_until = None;
                SENDS_VISIBILITY
            };
            let entries: Vec<(Receipt, Duration)> = self
                .remaining()
                .into_iter()
                .map(|receipt| (receipt, visibility))
                .collect();
            if entries.is_empty() {
                continue;
            }
            let results = queue.extend_batch(name, &entries).await;
            for (result, (receipt, _)) in results.into_iter().zip(&entries) {
                match result {
                    Ok(()) => {}
                    // Its job was done and deleted meanwhile.
                    Err(QueueError::StaleReceipt) if !self.holds(receipt) => {}
                    Err(QueueError::StaleReceipt) => return,
                    Err(error) => warn!(queue = %name, error = %chain(&error), "could not hold a job"),
                }
            }
        }
    }
}
