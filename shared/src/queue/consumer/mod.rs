//! A consumer of a queue, written once: it receives, keeps hidden what is worked on, deletes what is done, leaves what
//! cannot be done now, and pauses where the queue is away.
//!
//! What is done with a message is its caller's. [`Consumer::run`] hands on what comes; for a message that stands for itself,
//! [`Consumer::finish`] is the rest. Who holds messages together, as the lanes of sends do, holds them by [`Held`] and gives
//! each to [`Consumer::settle`] in the end.
//!
//! Work may be done twice: a delivery is at least once, and a deletion may fail.

mod held;
mod oldest;

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

pub use self::held::{Held, Terms};
pub use self::oldest::Oldest;
use super::{MAX_BATCH, MAX_WAIT, Queue, QueueError, QueueName, Receipt, ReceiveOptions, Received};
use crate::telemetry::chain;

/// The pause after a queue could not be read.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What becomes of a message that was worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Its effect is stored, or it has none: it is deleted.
    Delete,
    /// It stays in its queue, hidden for so long, and what is behind it in its group with it.
    LeaveFor(Duration),
}

/// The consumer of one queue.
#[derive(Debug, Clone)]
pub struct Consumer {
    queue: Arc<dyn Queue>,
    name: QueueName,
    /// For how long what is received is this consumer's, before it is extended.
    visibility: Duration,
}

impl Consumer {
    /// A consumer whose messages are hidden for `visibility`, more than six seconds, and for longer while they are held.
    pub fn new(queue: Arc<dyn Queue>, name: QueueName, visibility: Duration) -> Self {
        Self {
            queue,
            name,
            visibility,
        }
    }

    /// The queue.
    pub fn queue(&self) -> &dyn Queue {
        self.queue.as_ref()
    }

    /// The queue's name.
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// For how long this consumer's messages are hidden and held.
    pub fn terms(&self) -> Terms {
        Terms::of(self.visibility)
    }

    /// Takes from the queue until `over`, and gives up to ten messages at a time to `take`. Nothing more is received before
    /// `take` has answered, and nothing is taken away from it: what it has begun it ends.
    pub async fn run<F: Future<Output = ()>>(
        &self,
        over: impl Future<Output = ()>,
        mut take: impl FnMut(Vec<Received>) -> F,
    ) {
        let options = ReceiveOptions {
            max: u8::try_from(MAX_BATCH).unwrap_or(u8::MAX),
            wait: MAX_WAIT,
            visibility: self.visibility,
        };
        let mut over = std::pin::pin!(over);
        loop {
            let received = tokio::select! {
                biased;
                () = &mut over => return,
                received = self.queue.receive(&self.name, options) => received,
            };
            match received {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => take(messages).await,
                Err(error) => {
                    warn!(queue = %self.name, error = %chain(&error), "could not receive");
                    tokio::select! {
                        biased;
                        () = &mut over => return,
                        () = tokio::time::sleep(PAUSE_AFTER_FAILURE) => {}
                    }
                }
            }
        }
    }

    /// Keeps a message hidden while it is worked on, and settles it when that is done.
    pub async fn finish(&self, received: &Received, doing: impl Future<Output = Done>) {
        let held = Held::new(self.terms());
        held.take(received);
        let done = tokio::select! {
            done = doing => done,
            () = held.keep(self.queue(), &self.name) => unreachable!("it keeps for ever"),
        };
        self.settle(&received.receipt, done).await;
    }

    /// Deletes a message, or leaves it. Where that fails it comes again, and is found done or not.
    pub async fn settle(&self, receipt: &Receipt, done: Done) {
        match done {
            Done::Delete => {
                if let Err(error) = self.delete(receipt).await {
                    warn!(queue = %self.name, error = %chain(&error), "could not delete a message that is done");
                }
            }
            Done::LeaveFor(pause) => {
                if let Err(error) = self.queue.extend(&self.name, receipt, pause).await {
                    warn!(queue = %self.name, error = %chain(&error), "could not hide a message that is left");
                }
            }
        }
    }

    /// Deletes a message, for who must know that it is gone.
    pub async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.queue.delete(&self.name, receipt).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::clock::SystemClock;
    use crate::queue::deployment::{self, QUERIES_VISIBILITY};
    use crate::queue::embedded::EmbeddedQueue;
    use crate::queue::{OutgoingMessage, QueueNames};

    async fn consumer_of(bodies: &[&str]) -> Consumer {
        let queue = Arc::new(EmbeddedQueue::open(None, Arc::new(SystemClock)).expect("opened"));
        let names = QueueNames::new("waxwing", "sandbox").expect("names");
        deployment::ensure_all(queue.as_ref(), &names, 1)
            .await
            .expect("created");
        let name = names.queries(0);
        for body in bodies {
            let sent = queue.send(&name, OutgoingMessage::standard(*body));
            sent.await.expect("queued");
        }
        Consumer::new(queue, name, QUERIES_VISIBILITY)
    }

    #[tokio::test]
    async fn what_is_done_goes_and_what_is_left_stays() {
        let consumer = consumer_of(&["done", "left", "done too"]).await;
        let (over, seen) = (CancellationToken::new(), Mutex::new(0));
        let take = |messages: Vec<Received>| {
            let (consumer, over, seen) = (&consumer, &over, &seen);
            async move {
                for message in messages {
                    let done = match message.body.as_str() {
                        "left" => Done::LeaveFor(Duration::from_mins(1)),
                        _ => Done::Delete,
                    };
                    consumer.finish(&message, async { done }).await;
                    *seen.lock().expect("alone") += 1;
                }
                if *seen.lock().expect("alone") == 3 {
                    over.cancel();
                }
            }
        };
        consumer.run(over.cancelled(), take).await;
        let depth = consumer.queue().depth(consumer.name()).await.expect("read");
        assert_eq!((depth.visible, depth.in_flight), (0, 1));
    }
}
