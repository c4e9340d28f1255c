//! The embedded queues, and what a test puts between them and who uses them.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use shared::clock::Clock;
use shared::domain::network::Network;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{
    Depth, OutgoingMessage, Queue, QueueAttributes, QueueError, QueueName, QueueNames, Receipt,
    ReceiveOptions, Received, SendOutcome, deployment,
};

/// What the queues' names begin with.
pub const PREFIX: &str = "waxwing";

/// The queues of a network of so many shards, in memory. What is hidden comes back by this clock.
pub async fn queues(clock: Arc<dyn Clock>, network: Network, shards: u32) -> (EmbeddedQueue, QueueNames) {
    let queues = EmbeddedQueue::open(None, clock).expect("opened");
    let names = QueueNames::new(PREFIX, network.as_str()).expect("names");
    deployment::ensure_all(&queues, &names, shards)
        .await
        .expect("created");
    (queues, names)
}

/// What becomes of the calls to a queue. Each passes unless the test's own type says something else.
#[async_trait]
pub trait Passing: Debug + Send + Sync {
    /// The queue behind it.
    fn inner(&self) -> &EmbeddedQueue;

    /// What becomes of a send.
    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        self.inner().send(queue, message).await
    }

    /// What becomes of a batch: the same as of its messages, one after the other.
    async fn send_batch(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<SendOutcome, QueueError>> {
        let mut sent = Vec::new();
        for message in messages {
            sent.push(self.send(queue, message).await);
        }
        sent
    }

    /// What becomes of a receive.
    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        self.inner().receive(queue, options).await
    }

    /// What becomes of an extension.
    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        self.inner().extend(queue, receipt, visibility).await
    }

    /// What becomes of a deletion.
    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        self.inner().delete(queue, receipt).await
    }

    /// What becomes of a look at the depth.
    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        self.inner().depth(queue).await
    }
}

/// A queue whose calls go through `P`.
#[derive(Debug)]
pub struct Through<P>(pub P);

impl<P> Deref for Through<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

#[async_trait]
impl<P: Passing> Queue for Through<P> {
    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        self.0.send(queue, message).await
    }

    async fn send_batch(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<SendOutcome, QueueError>> {
        self.0.send_batch(queue, messages).await
    }

    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        self.0.receive(queue, options).await
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        self.0.extend(queue, receipt, visibility).await
    }

    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        self.0.delete(queue, receipt).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        self.0.depth(queue).await
    }

    async fn ensure(&self, queue: &QueueName, attributes: QueueAttributes) -> Result<(), QueueError> {
        self.0.inner().ensure(queue, attributes).await
    }
}

/// The queues, with the requests to them counted.
#[derive(Debug)]
pub struct Counted {
    inner: Arc<EmbeddedQueue>,
    requests: Mutex<Requests>,
}

/// How many requests were made, whatever came of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Sends. A batch is one.
    pub sends: u64,
    /// Receives.
    pub receives: u64,
    /// Changes of visibility.
    pub extensions: u64,
    /// Deletions.
    pub deletions: u64,
}

impl Counted {
    /// These queues.
    pub fn new(inner: Arc<EmbeddedQueue>) -> Self {
        Self {
            inner,
            requests: Mutex::default(),
        }
    }

    /// The sends so far.
    pub fn sends(&self) -> u64 {
        self.counted().sends
    }

    /// The requests since this was asked last.
    pub fn take(&self) -> Requests {
        std::mem::take(&mut *self.counted())
    }

    fn counted(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().expect("no holder panics")
    }
}

/// A request counts when its answer is there.
#[async_trait]
impl Passing for Counted {
    fn inner(&self) -> &EmbeddedQueue {
        &self.inner
    }

    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        let sent = self.inner.send(queue, message).await;
        self.counted().sends += 1;
        sent
    }

    async fn send_batch(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<SendOutcome, QueueError>> {
        let sent = self.inner.send_batch(queue, messages).await;
        self.counted().sends += 1;
        sent
    }

    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        let received = self.inner.receive(queue, options).await;
        self.counted().receives += 1;
        received
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        let extended = self.inner.extend(queue, receipt, visibility).await;
        self.counted().extensions += 1;
        extended
    }

    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        let deleted = self.inner.delete(queue, receipt).await;
        self.counted().deletions += 1;
        deleted
    }
}
