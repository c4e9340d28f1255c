//! Holds the jobs of a lane while they are worked on or wait for their instance.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::queue::deployment::SENDS_VISIBILITY;
use shared::queue::{MAX_BATCH, MAX_VISIBILITY, Queue, QueueError, QueueName, Receipt, Received};
use shared::telemetry::chain;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::warn;

/// How long jobs are hidden and held.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How long a job that is worked on is hidden, which is how long a crash delays it.
    pub working: Duration,
    /// How long a job that only waits is hidden. It is longer, so that it takes fewer extensions.
    pub waiting: Duration,
    /// How long before its end a visibility time is extended: long enough for several tries.
    pub margin: Duration,
    /// The pause before a failed extension is tried again.
    pub again: Duration,
    /// How long one try may take.
    pub deadline: Duration,
    /// How long a job is held before it is handed back. SQS ends a message's visibility twelve
    /// hours after its receive, whatever is asked for.
    pub ceiling: Duration,
}

/// The terms of a deployment.
pub const TERMS: Terms = Terms {
    working: SENDS_VISIBILITY,
    waiting: Duration::from_mins(1),
    margin: Duration::from_secs(6),
    again: Duration::from_millis(500),
    deadline: Duration::from_secs(2),
    ceiling: MAX_VISIBILITY.saturating_sub(Duration::from_mins(30)),
};

/// A lane's jobs that are not done.
#[derive(Debug)]
pub struct Held {
    terms: Terms,
    jobs: Mutex<Vec<Job>>,
    /// Whether the lane waits for its instance.
    waiting: AtomicBool,
    changed: Notify,
}

#[derive(Debug)]
struct Job {
    /// The queue's id of it.
    id: String,
    receipt: Receipt,
    taken_at: Instant,
    /// When it comes back to the queue at the earliest.
    hidden_until: Instant,
    /// When a failed extension is tried again.
    not_before: Instant,
    /// Whether it waits for a reason of its own.
    waits: bool,
    /// Its receipt is stale: the job was received again and that delivery has not come here yet, or it was deleted
    /// and the answer was lost.
    is_stale: bool,
}

impl Job {
    fn due_at(&self, terms: &Terms) -> Instant {
        let due = self.hidden_until.checked_sub(terms.margin);
        due.unwrap_or(self.hidden_until).max(self.not_before)
    }
}

impl Held {
    /// Holds nothing yet.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            jobs: Mutex::default(),
            waiting: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// Holds a job that was received just now. `false` where it is held already: then its visibility time ended
    /// before it could be extended, and the new receipt replaces the old one.
    pub fn take(&self, received: &Received) -> bool {
        let now = Instant::now();
        let mut jobs = self.jobs.lock().expect("no holder panics");
        let hidden_until = now + self.terms.working;
        let known = jobs.iter_mut().find(|job| job.id == received.message_id);
        let is_new = known.is_none();
        if let Some(job) = known {
            job.receipt = received.receipt.clone();
            job.taken_at = now;
            job.hidden_until = hidden_until;
            job.not_before = now;
            job.is_stale = false;
        } else {
            jobs.push(Job {
                id: received.message_id.clone(),
                receipt: received.receipt.clone(),
                taken_at: now,
                hidden_until,
                not_before: now,
                waits: false,
                is_stale: false,
            });
        }
        drop(jobs);
        self.changed.notify_one();
        is_new
    }

    /// Stops holding a job that is done or given back. Answers the receipt to do that with.
    pub fn let_go(&self, id: &str) -> Option<Receipt> {
        let mut jobs = self.jobs.lock().expect("no holder panics");
        let at = jobs.iter().position(|job| job.id == id)?;
        Some(jobs.remove(at).receipt)
    }

    /// Sets whether the whole lane waits for its instance.
    pub fn set_waiting(&self, waiting: bool) {
        if self.waiting.swap(waiting, Ordering::Relaxed) != waiting {
            self.changed.notify_one();
        }
    }

    /// Sets whether a job waits for a reason of its own.
    pub fn set_waits(&self, id: &str, waits: bool) {
        let mut jobs = self.jobs.lock().expect("no holder panics");
        if let Some(job) = jobs.iter_mut().find(|job| job.id == id) {
            job.waits = waits;
        }
    }

    /// Waits until a job has been held for as long as the queue allows.
    pub async fn ceiling(&self) {
        loop {
            let oldest = {
                let jobs = self.jobs.lock().expect("no holder panics");
                jobs.iter().map(|job| job.taken_at).min()
            };
            let end = oldest.unwrap_or_else(Instant::now) + self.terms.ceiling;
            if oldest.is_some() && end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    /// Keeps extending the visibility time of the held jobs, for ever.
    pub async fn keep(&self, queue: &dyn Queue, name: &QueueName) {
        loop {
            let (due, next) = self.due();
            if due.is_empty() {
                tokio::select! {
                    () = sleep_until(next) => {}
                    () = self.changed.notified() => {}
                }
                continue;
            }
            let began = Instant::now();
            let entries: Vec<(Receipt, Duration)> = due.iter().map(|(_, entry)| entry.clone()).collect();
            let extending = queue.extend_batch(name, &entries);
            if let Ok(results) = tokio::time::timeout(self.terms.deadline, extending).await {
                for ((id, (receipt, visibility)), result) in due.iter().zip(results) {
                    self.note(name, id, receipt, began + *visibility, result);
                }
            } else {
                warn!(queue = %name, "no answer to the extension of jobs in time");
                for (id, (receipt, _)) in &due {
                    self.try_again(id, receipt);
                }
            }
        }
    }

    /// The jobs to extend now, at most a batch; if there are none, when the next one is to be extended.
    #[expect(
        clippy::type_complexity,
        reason = "a receipt and a time are what the queue takes"
    )]
    fn due(&self) -> (Vec<(String, (Receipt, Duration))>, Option<Instant>) {
        let now = Instant::now();
        let lane_waits = self.waiting.load(Ordering::Relaxed);
        let jobs = self.jobs.lock().expect("no holder panics");
        let held = || jobs.iter().filter(|job| !job.is_stale);
        let due = held()
            .filter(|job| job.due_at(&self.terms) <= now)
            .take(MAX_BATCH)
            .map(|job| {
                let visibility = if lane_waits || job.waits {
                    self.terms.waiting
                } else {
                    self.terms.working
                };
                (job.id.clone(), (job.receipt.clone(), visibility))
            })
            .collect();
        (due, held().map(|job| job.due_at(&self.terms)).min())
    }

    fn note(
        &self,
        name: &QueueName,
        id: &str,
        receipt: &Receipt,
        until: Instant,
        result: Result<(), QueueError>,
    ) {
        match result {
            Ok(()) => self.with(id, receipt, |job| job.hidden_until = until),
            // It was done and deleted meanwhile, or comes here again with another receipt.
            Err(QueueError::StaleReceipt) => self.with(id, receipt, |job| job.is_stale = true),
            Err(error) => {
                warn!(queue = %name, error = %chain(&error), "could not hold a job, trying again");
                self.try_again(id, receipt);
            }
        }
    }

    fn try_again(&self, id: &str, receipt: &Receipt) {
        let again = Instant::now() + self.terms.again;
        self.with(id, receipt, |job| job.not_before = again);
    }

    /// Changes a job, if its receipt is still the one that the call was made with.
    fn with(&self, id: &str, receipt: &Receipt, change: impl FnOnce(&mut Job)) {
        let mut jobs = self.jobs.lock().expect("no holder panics");
        if let Some(job) = jobs
            .iter_mut()
            .find(|job| job.id == id && job.receipt == *receipt)
        {
            change(job);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use shared::clock::SystemClock;
    use shared::queue::embedded::EmbeddedQueue;
    use shared::queue::{OutgoingMessage, QueueNames, ReceiveOptions, deployment};

    use super::*;

    const SHORT: Terms = Terms {
        working: Duration::from_millis(1_500),
        waiting: Duration::from_secs(2),
        margin: Duration::from_millis(1_200),
        again: Duration::from_millis(30),
        deadline: Duration::from_millis(200),
        ceiling: Duration::from_millis(300),
    };

    /// A queue with one job, which is hidden for [`SHORT`]'s working time.
    async fn queue_of_one() -> (EmbeddedQueue, QueueName, Received) {
        let queue = EmbeddedQueue::open(None, Arc::new(SystemClock)).expect("opened");
        let names = QueueNames::new("waxwing", "sandbox").expect("names");
        deployment::ensure_all(&queue, &names, 1).await.expect("created");
        let name = names.sends(0);
        let message = OutgoingMessage::fifo("job", "lane", "job");
        queue.send(&name, message).await.expect("queued");
        let received = receive(&queue, &name, Duration::from_secs(5)).await;
        (queue, name, received.expect("it is there"))
    }

    async fn receive(queue: &dyn Queue, name: &QueueName, wait: Duration) -> Option<Received> {
        let options = ReceiveOptions {
            max: 10,
            wait,
            visibility: SHORT.working,
        };
        queue.receive(name, options).await.expect("received").pop()
    }

    /// A queue whose next extensions fail or hang.
    #[derive(Debug)]
    struct Shaky {
        inner: EmbeddedQueue,
        failing: std::sync::atomic::AtomicU32,
        failed: std::sync::atomic::AtomicU32,
    }

    #[async_trait::async_trait]
    impl Queue for Shaky {
        async fn send(
            &self,
            queue: &QueueName,
            message: OutgoingMessage,
        ) -> Result<shared::queue::SendOutcome, QueueError> {
            self.inner.send(queue, message).await
        }

        async fn receive(
            &self,
            queue: &QueueName,
            options: ReceiveOptions,
        ) -> Result<Vec<Received>, QueueError> {
            self.inner.receive(queue, options).await
        }

        async fn extend(
            &self,
            queue: &QueueName,
            receipt: &Receipt,
            visibility: Duration,
        ) -> Result<(), QueueError> {
            let left = self.failing.load(Ordering::Relaxed);
            if left == 0 {
                return self.inner.extend(queue, receipt, visibility).await;
            }
            self.failing.store(left - 1, Ordering::Relaxed);
            self.failed.fetch_add(1, Ordering::Relaxed);
            if left.is_multiple_of(2) {
                std::future::pending().await
            } else {
                Err(QueueError::Timeout { operation: "extend" })
            }
        }

        async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
            self.inner.delete(queue, receipt).await
        }

        async fn depth(&self, queue: &QueueName) -> Result<shared::queue::Depth, QueueError> {
            self.inner.depth(queue).await
        }

        async fn ensure(
            &self,
            queue: &QueueName,
            attributes: shared::queue::QueueAttributes,
        ) -> Result<(), QueueError> {
            self.inner.ensure(queue, attributes).await
        }
    }

    /// One extension hangs and one fails, within the time that the job is hidden.
    #[tokio::test]
    async fn an_extension_that_fails_is_repeated_in_time() {
        let (queue, name, received) = queue_of_one().await;
        let queue = Shaky {
            inner: queue,
            failing: 2.into(),
            failed: 0.into(),
        };
        let held = Held::new(SHORT);
        assert!(held.take(&received));
        let watching = receive(&queue.inner, &name, SHORT.working * 2);
        tokio::select! {
            () = held.keep(&queue, &name) => {}
            again = watching => assert_eq!(again, None, "it was never given to another"),
        }
        assert_eq!(queue.failed.load(Ordering::Relaxed), 2);
        let receipt = held.let_go(&received.message_id).expect("held");
        queue.delete(&name, &receipt).await.expect("the receipt is good");
    }

    #[tokio::test]
    async fn a_job_that_came_again_goes_on_with_its_new_receipt() {
        let (queue, name, received) = queue_of_one().await;
        let held = Held::new(SHORT);
        assert!(held.take(&received));
        let again = receive(&queue, &name, Duration::from_secs(5)).await;
        let again = again.expect("nobody kept it");
        assert!(!held.take(&again), "it is in hand");
        let receipt = held.let_go(&again.message_id).expect("held");
        queue.delete(&name, &receipt).await.expect("the receipt is good");
        assert_eq!(held.let_go(&again.message_id), None, "it was held once");
    }

    #[tokio::test]
    async fn the_end_of_a_visibility_is_foreseen() {
        let (_queue, _name, received) = queue_of_one().await;
        let held = Held::new(SHORT);
        let began = Instant::now();
        held.take(&received);
        held.ceiling().await;
        assert!(began.elapsed() >= SHORT.ceiling);
        assert!(TERMS.ceiling + TERMS.waiting < MAX_VISIBILITY);
    }
}
