//! The embedded queue, with the sends counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{
    Depth, OutgoingMessage, Queue, QueueAttributes, QueueError, QueueName, Receipt, ReceiveOptions, Received,
    SendOutcome,
};

#[derive(Debug)]
pub struct Counted {
    inner: EmbeddedQueue,
    sends: AtomicU64,
}

impl Counted {
    pub fn new(inner: EmbeddedQueue) -> Self {
        Self {
            inner,
            sends: AtomicU64::new(0),
        }
    }

    /// The sends so far.
    pub fn sends(&self) -> u64 {
        self.sends.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Queue for Counted {
    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        let sent = self.inner.send(queue, message).await;
        self.sends.fetch_add(1, Ordering::Relaxed);
        sent
    }

    async fn send_batch(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<SendOutcome, QueueError>> {
        let sent = self.inner.send_batch(queue, messages).await;
        // One request, whatever is in it.
        self.sends.fetch_add(1, Ordering::Relaxed);
        sent
    }

    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        self.inner.receive(queue, options).await
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        self.inner.extend(queue, receipt, visibility).await
    }

    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        self.inner.delete(queue, receipt).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        self.inner.depth(queue).await
    }

    async fn ensure(&self, queue: &QueueName, attributes: QueueAttributes) -> Result<(), QueueError> {
        self.inner.ensure(queue, attributes).await
    }
}
