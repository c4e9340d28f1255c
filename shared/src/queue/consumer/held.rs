//! Keeps messages hidden while they are worked on, or wait for something.
//!
//! Several may be held together, as those of a group are: an extension is one call for up to ten of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::warn;

use super::Oldest;
use crate::queue::{MAX_BATCH, MAX_VISIBILITY, Queue, QueueError, QueueName, Receipt, Received};
use crate::telemetry::chain;

/// How long messages are hidden and held.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How long a message that is worked on is hidden, which is how long a crash delays it.
    pub working: Duration,
    /// How long a message that only waits is hidden. It is longer, so that it takes fewer extensions.
    pub waiting: Duration,
    /// How long before its end a visibility time is extended: long enough for several tries.
    pub margin: Duration,
    /// The pause before a failed extension is tried again.
    pub again: Duration,
    /// How long one try may take.
    pub deadline: Duration,
    /// How long a message is held before it is handed back. SQS ends a message's visibility twelve
    /// hours after its receive, whatever is asked for.
    pub ceiling: Duration,
}

impl Terms {
    /// The terms of a queue whose messages are received with this visibility, more than six seconds.
    pub const fn of(visibility: Duration) -> Self {
        Self {
            working: visibility,
            waiting: Duration::from_mins(1),
            margin: Duration::from_secs(6),
            again: Duration::from_millis(500),
            deadline: Duration::from_secs(2),
            ceiling: MAX_VISIBILITY.saturating_sub(Duration::from_mins(30)),
        }
    }
}

/// Messages that are not done.
#[derive(Debug)]
pub struct Held {
    terms: Terms,
    messages: Mutex<Vec<Message>>,
    /// Whether all of them wait.
    waiting: AtomicBool,
    changed: Notify,
}

#[derive(Debug)]
struct Message {
    /// The queue's id of it.
    id: String,
    receipt: Receipt,
    /// When the queue got it, where it says so.
    sent_at: Option<DateTime<Utc>>,
    taken_at: Instant,
    /// When it comes back to the queue at the earliest.
    hidden_until: Instant,
    /// When a failed extension is tried again.
    not_before: Instant,
    /// Whether it waits for a reason of its own.
    waits: bool,
    /// Its receipt is stale: the message was received again and that delivery has not come here yet, or it was deleted
    /// and the answer was lost.
    is_stale: bool,
}

impl Message {
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
            messages: Mutex::default(),
            waiting: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// Holds a message that was received just now. `false` where it is held already: then its visibility time ended
    /// before it could be extended, and the new receipt replaces the old one.
    pub fn take(&self, received: &Received) -> bool {
        let now = Instant::now();
        let mut messages = self.messages.lock().expect("no holder panics");
        let hidden_until = now + self.terms.working;
        let known = messages
            .iter_mut()
            .find(|message| message.id == received.message_id);
        let is_new = known.is_none();
        if let Some(message) = known {
            message.receipt = received.receipt.clone();
            message.taken_at = now;
            message.hidden_until = hidden_until;
            message.not_before = now;
            message.is_stale = false;
        } else {
            messages.push(Message {
                id: received.message_id.clone(),
                receipt: received.receipt.clone(),
                sent_at: received.sent_at,
                taken_at: now,
                hidden_until,
                not_before: now,
                waits: false,
                is_stale: false,
            });
        }
        drop(messages);
        self.changed.notify_one();
        is_new
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.messages.lock().expect("no holder panics").is_empty()
    }

    /// Stops holding a message that is done or given back. Answers the receipt to do that with.
    pub fn let_go(&self, id: &str) -> Option<Receipt> {
        let mut messages = self.messages.lock().expect("no holder panics");
        let at = messages.iter().position(|message| message.id == id)?;
        Some(messages.remove(at).receipt)
    }

    /// Sets whether all that is held waits.
    pub fn set_waiting(&self, waiting: bool) {
        if self.waiting.swap(waiting, Ordering::Relaxed) != waiting {
            self.changed.notify_one();
        }
    }

    /// Sets whether a message waits for a reason of its own.
    pub fn set_waits(&self, id: &str, waits: bool) {
        let mut messages = self.messages.lock().expect("no holder panics");
        if let Some(message) = messages.iter_mut().find(|message| message.id == id) {
            message.waits = waits;
        }
    }

    /// When the queue got the oldest of them.
    pub fn oldest(&self) -> Oldest {
        let all_wait = self.waiting.load(Ordering::Relaxed);
        let messages = self.messages.lock().expect("no holder panics");
        let of = |waits| {
            let some = messages
                .iter()
                .filter(move |message| (all_wait || message.waits) == waits);
            some.filter_map(|message| message.sent_at).min()
        };
        Oldest {
            working: of(false),
            waiting: of(true),
        }
    }

    /// Waits until a message has been held for as long as the queue allows.
    pub async fn ceiling(&self) {
        loop {
            let oldest = {
                let messages = self.messages.lock().expect("no holder panics");
                messages.iter().map(|message| message.taken_at).min()
            };
            let end = oldest.unwrap_or_else(Instant::now) + self.terms.ceiling;
            if oldest.is_some() && end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    /// Keeps extending the visibility time of what is held, for ever.
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
                warn!(queue = %name, "no answer to the extension of messages in time");
                for (id, (receipt, _)) in &due {
                    self.try_again(id, receipt);
                }
            }
        }
    }

    /// What to extend now, at most a batch; if there are none, when the next one is to be extended.
    #[expect(
        clippy::type_complexity,
        reason = "a receipt and a time are what the queue takes"
    )]
    fn due(&self) -> (Vec<(String, (Receipt, Duration))>, Option<Instant>) {
        let now = Instant::now();
        let all_wait = self.waiting.load(Ordering::Relaxed);
        let messages = self.messages.lock().expect("no holder panics");
        let held = || messages.iter().filter(|message| !message.is_stale);
        let due = held()
            .filter(|message| message.due_at(&self.terms) <= now)
            .take(MAX_BATCH)
            .map(|message| {
                let visibility = if all_wait || message.waits {
                    self.terms.waiting
                } else {
                    self.terms.working
                };
                (message.id.clone(), (message.receipt.clone(), visibility))
            })
            .collect();
        (due, held().map(|message| message.due_at(&self.terms)).min())
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
            Ok(()) => self.with(id, receipt, |message| message.hidden_until = until),
            // It was done and deleted meanwhile, or comes here again with another receipt.
            Err(QueueError::StaleReceipt) => self.with(id, receipt, |message| message.is_stale = true),
            Err(error) => {
                warn!(queue = %name, error = %chain(&error), "could not hold a message, trying again");
                self.try_again(id, receipt);
            }
        }
    }

    fn try_again(&self, id: &str, receipt: &Receipt) {
        let again = Instant::now() + self.terms.again;
        self.with(id, receipt, |message| message.not_before = again);
    }

    /// Changes a message, if its receipt is still the one that the call was made with.
    fn with(&self, id: &str, receipt: &Receipt, change: impl FnOnce(&mut Message)) {
        let mut messages = self.messages.lock().expect("no holder panics");
        if let Some(message) = messages
            .iter_mut()
            .find(|message| message.id == id && message.receipt == *receipt)
        {
            change(message);
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

    use super::*;
    use crate::clock::SystemClock;
    use crate::queue::embedded::EmbeddedQueue;
    use crate::queue::{OutgoingMessage, QueueNames, ReceiveOptions, deployment};

    const SHORT: Terms = Terms {
        working: Duration::from_millis(1_500),
        waiting: Duration::from_secs(2),
        margin: Duration::from_millis(1_200),
        again: Duration::from_millis(30),
        deadline: Duration::from_millis(200),
        ceiling: Duration::from_millis(300),
    };

    /// A queue with one job, which is hidden for this long.
    async fn queue_of_one(visibility: Duration) -> (EmbeddedQueue, QueueName, Received) {
        let queue = EmbeddedQueue::open(None, Arc::new(SystemClock)).expect("opened");
        let names = QueueNames::new("waxwing", "sandbox").expect("names");
        deployment::ensure_all(&queue, &names, 1).await.expect("created");
        let name = names.sends(0);
        let message = OutgoingMessage::fifo("job", "lane", "job");
        queue.send(&name, message).await.expect("queued");
        let received = receive(&queue, &name, visibility).await;
        (queue, name, received)
    }

    /// Waits for the job, and hides it for this long.
    async fn receive(queue: &dyn Queue, name: &QueueName, visibility: Duration) -> Received {
        let options = ReceiveOptions {
            max: 10,
            wait: Duration::from_secs(20),
            visibility,
        };
        loop {
            if let Some(job) = queue.receive(name, options).await.expect("received").pop() {
                return job;
            }
        }
    }

    /// A queue whose next extensions fail or hang.
    #[derive(Debug)]
    struct Shaky {
        inner: EmbeddedQueue,
        failing: std::sync::atomic::AtomicU32,
        failed: std::sync::atomic::AtomicU32,
        /// Told of each extension that is done.
        extended: Notify,
    }

    #[async_trait::async_trait]
    impl Queue for Shaky {
        async fn send(
            &self,
            queue: &QueueName,
            message: OutgoingMessage,
        ) -> Result<crate::queue::SendOutcome, QueueError> {
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
                self.inner.extend(queue, receipt, visibility).await?;
                self.extended.notify_one();
                return Ok(());
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

        async fn depth(&self, queue: &QueueName) -> Result<crate::queue::Depth, QueueError> {
            self.inner.depth(queue).await
        }

        async fn ensure(
            &self,
            queue: &QueueName,
            attributes: crate::queue::QueueAttributes,
        ) -> Result<(), QueueError> {
            self.inner.ensure(queue, attributes).await
        }
    }

    /// One extension hangs and one fails, within the time that the job is hidden.
    #[tokio::test]
    async fn an_extension_that_fails_is_repeated_in_time() {
        // It is extended soon, and there is time until it would come back.
        let terms = Terms {
            working: Duration::from_mins(1),
            margin: Duration::from_millis(59_700),
            ..SHORT
        };
        let (queue, name, received) = queue_of_one(terms.working).await;
        let queue = Shaky {
            inner: queue,
            failing: 2.into(),
            failed: 0.into(),
            extended: Notify::new(),
        };
        let held = Held::new(terms);
        assert!(held.take(&received));
        tokio::select! {
            () = held.keep(&queue, &name) => {}
            _ = receive(&queue.inner, &name, terms.working) => panic!("it was given to another"),
            () = queue.extended.notified() => {}
        }
        assert_eq!(queue.failed.load(Ordering::Relaxed), 2);
        let receipt = held.let_go(&received.message_id).expect("held");
        queue.delete(&name, &receipt).await.expect("the receipt is good");
    }

    #[tokio::test]
    async fn a_job_that_came_again_goes_on_with_its_new_receipt() {
        let (queue, name, received) = queue_of_one(SHORT.working).await;
        let held = Held::new(SHORT);
        assert!(held.take(&received));
        let again = receive(&queue, &name, Duration::from_mins(1)).await;
        assert!(!held.take(&again), "it is in hand");
        let receipt = held.let_go(&again.message_id).expect("held");
        queue.delete(&name, &receipt).await.expect("the receipt is good");
        assert_eq!(held.let_go(&again.message_id), None, "it was held once");
    }

    #[tokio::test]
    async fn a_job_is_as_old_as_the_queue_says_and_works_or_waits() {
        let (_queue, _name, received) = queue_of_one(SHORT.working).await;
        let held = Held::new(SHORT);
        assert_eq!(held.oldest(), Oldest::default());
        assert!(received.sent_at.is_some());
        held.take(&received);
        let oldest = |working, waiting| Oldest { working, waiting };
        assert_eq!(held.oldest(), oldest(received.sent_at, None));
        held.set_waits(&received.message_id, true);
        assert_eq!(held.oldest(), oldest(None, received.sent_at));
        held.set_waits(&received.message_id, false);
        held.set_waiting(true);
        assert_eq!(held.oldest(), oldest(None, received.sent_at));
        held.let_go(&received.message_id);
        assert_eq!(held.oldest(), Oldest::default());
    }

    #[tokio::test]
    async fn the_end_of_a_visibility_is_foreseen() {
        let (_queue, _name, received) = queue_of_one(SHORT.working).await;
        let held = Held::new(SHORT);
        let began = Instant::now();
        held.take(&received);
        held.ceiling().await;
        assert!(began.elapsed() >= SHORT.ceiling);
        let terms = Terms::of(deployment::SENDS_VISIBILITY);
        assert!(terms.ceiling + terms.waiting < MAX_VISIBILITY);
    }
}
