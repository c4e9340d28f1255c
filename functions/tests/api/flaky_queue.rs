//! A queue that can be made to fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{
    Depth, OutgoingMessage, Queue, QueueAttributes, QueueError, QueueName, Receipt, ReceiveOptions, Received,
    SendOutcome,
};

/// An embedded queue whose service is out of reach while [`FlakyQueue::fail`] says so.
#[derive(Debug)]
pub struct FlakyQueue {
    inner: EmbeddedQueue,
    fails: AtomicBool,
}

impl FlakyQueue {
    pub fn over(inner: EmbeddedQueue) -> Self {
        Self {
            inner,
            fails: AtomicBool::new(false),
        }
    }

    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn reach(&self) -> Result<&EmbeddedQueue, QueueError> {
        if self.fails.load(Ordering::SeqCst) {
            let source = "out of reach".into();
            return Err(QueueError::Unavailable { source });
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl Queue for FlakyQueue {
    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        self.reach()?.send(queue, message).await
    }

    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        self.reach()?.receive(queue, options).await
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        self.reach()?.extend(queue, receipt, visibility).await
    }

    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        self.reach()?.delete(queue, receipt).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        self.reach()?.depth(queue).await
    }

    async fn ensure(&self, queue: &QueueName, attributes: QueueAttributes) -> Result<(), QueueError> {
        self.reach()?.ensure(queue, attributes).await
    }
}
