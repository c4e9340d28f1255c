//! The embedded queue, with the sends counted.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{OutgoingMessage, Queue as _, QueueError, QueueName, SendOutcome};
use testbed::queues::Passing;

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
impl Passing for Counted {
    fn inner(&self) -> &EmbeddedQueue {
        &self.inner
    }

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
}
