//! The embedded queue with a second side for the test: it notes what consumers do, and
//! fails every so often where it is asked to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{
    OutgoingMessage, Queue as _, QueueError, QueueName, Receipt, ReceiveOptions, Received, SendOutcome,
};
use testbed::queues::Passing;

/// Passes calls on to the embedded queue.
#[derive(Debug)]
pub struct Watched {
    inner: EmbeddedQueue,
    /// How long messages were hidden for, by queue and receipt.
    extended: Mutex<Vec<(QueueName, Receipt, Duration)>>,
    /// Every how manieth call fails; zero for none.
    failing: AtomicU32,
    calls: AtomicU32,
    failed: AtomicU32,
    /// Whether nothing can be held.
    refuses_extensions: AtomicBool,
    /// How many batches were sent, how many of them refused, and how long each takes.
    batches: AtomicUsize,
    refused_batches: AtomicUsize,
    refuses_batches: AtomicBool,
    batch_delay: Mutex<Duration>,
    /// The queues of messages that were received for a second time or more.
    again: Mutex<Vec<QueueName>>,
}

impl Watched {
    pub fn new(inner: EmbeddedQueue) -> Self {
        Self {
            inner,
            extended: Mutex::default(),
            failing: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            refuses_extensions: AtomicBool::new(false),
            batches: AtomicUsize::new(0),
            refused_batches: AtomicUsize::new(0),
            refuses_batches: AtomicBool::new(false),
            batch_delay: Mutex::default(),
            again: Mutex::default(),
        }
    }

    /// Whether every batch is refused from now on.
    pub fn refuse_batches(&self, refuse: bool) {
        self.refuses_batches.store(refuse, Ordering::Relaxed);
    }

    /// How many batches were refused.
    pub fn refused_batches(&self) -> usize {
        self.refused_batches.load(Ordering::Relaxed)
    }

    /// Lets every batch take so long from now on.
    pub fn delay_batches(&self, delay: Duration) {
        *self.batch_delay.lock().expect("no holder panics") = delay;
    }

    /// How many batches were sent.
    pub fn batches(&self) -> usize {
        self.batches.load(Ordering::Relaxed)
    }

    /// Lets every `nth` call fail from now on; zero ends that.
    pub fn fail_every(&self, nth: u32) {
        self.failing.store(nth, Ordering::Relaxed);
    }

    /// Whether every extension fails from now on.
    pub fn refuse_extensions(&self, refuse: bool) {
        self.refuses_extensions.store(refuse, Ordering::Relaxed);
    }

    /// How many messages of this queue were received for a second time or more.
    pub fn received_again(&self, queue: &QueueName) -> usize {
        let again = self.again.lock().expect("no holder panics");
        again.iter().filter(|name| *name == queue).count()
    }

    /// How many calls have failed on purpose.
    pub fn failed(&self) -> u32 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether a message of this queue was hidden for so long.
    pub fn was_hidden_for(&self, queue: &QueueName, visibility: Duration) -> bool {
        let extended = self.extended.lock().expect("no holder panics");
        extended
            .iter()
            .any(|(name, _, time)| name == queue && *time == visibility)
    }

    /// Brings back the message of this queue that was hidden last, as if its time were over.
    pub async fn bring_back(&self, queue: &QueueName) {
        let receipt = {
            let extended = self.extended.lock().expect("no holder panics");
            let last = extended.iter().rfind(|(name, _, _)| name == queue);
            last.map(|(_, receipt, _)| receipt.clone())
        };
        let receipt = receipt.expect("one that was hidden");
        let back = self.inner.extend(queue, &receipt, Duration::ZERO).await;
        back.expect("it is hidden still");
    }

    /// Fails half of what is to fail before it is done, and half after.
    async fn pass<T>(&self, call: impl Future<Output = Result<T, QueueError>>) -> Result<T, QueueError> {
        let every = self.failing.load(Ordering::Relaxed);
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if every == 0 || !number.is_multiple_of(every) {
            return call.await;
        }
        let failed = self.failed.fetch_add(1, Ordering::Relaxed);
        if failed.is_multiple_of(2) {
            return Err(QueueError::Throttled {
                source: "as the test wants it".into(),
            });
        }
        // It has taken effect, and nobody is told.
        call.await?;
        Err(QueueError::Unavailable {
            source: "as the test wants it".into(),
        })
    }
}

#[async_trait]
impl Passing for Watched {
    fn inner(&self) -> &EmbeddedQueue {
        &self.inner
    }

    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        self.pass(self.inner.send(queue, message)).await
    }

    async fn send_batch(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<SendOutcome, QueueError>> {
        let throttled = || QueueError::Throttled {
            source: "as the test wants it".into(),
        };
        if self.refuses_batches.load(Ordering::Relaxed) {
            self.refused_batches.fetch_add(1, Ordering::Relaxed);
            return messages.iter().map(|_| Err(throttled())).collect();
        }
        self.batches.fetch_add(1, Ordering::Relaxed);
        let delay = *self.batch_delay.lock().expect("no holder panics");
        tokio::time::sleep(delay).await;
        let count = messages.len();
        let sent = self.pass(async { Ok(self.inner.send_batch(queue, messages).await) });
        match sent.await {
            Ok(sent) => sent,
            Err(_) => (0..count).map(|_| Err(throttled())).collect(),
        }
    }

    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        let received = self.pass(self.inner.receive(queue, options)).await?;
        let again = received.iter().filter(|message| message.receive_count > 1);
        self.again
            .lock()
            .expect("no holder panics")
            .extend(again.map(|_| queue.clone()));
        Ok(received)
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        self.extended
            .lock()
            .expect("no holder panics")
            .push((queue.clone(), receipt.clone(), visibility));
        if self.refuses_extensions.load(Ordering::Relaxed) {
            return Err(QueueError::Timeout { operation: "extend" });
        }
        self.pass(self.inner.extend(queue, receipt, visibility)).await
    }

    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        self.pass(self.inner.delete(queue, receipt)).await
    }
}
