//! Jobs and events between functions and daemons: a port with the semantics of Amazon SQS.
//!
//! Two adapters stand behind [`Queue`]: [`sqs::SqsQueue`] for AWS and anything that speaks its protocol, and
//! [`embedded::EmbeddedQueue`], durable in one `SQLite` file, for the local stack. `tests/queue_contract` holds
//! both to the same rules:
//!
//! - A *FIFO* queue keeps the order within a message group. While any message of a group is in flight
//!   (received, and neither deleted nor past its visibility time) the group is blocked; other groups are not.
//! - A second message with the same deduplication id in the same group within five minutes is accepted and dropped.
//! - Delivery is at least once. A consumer deletes a message only after its effect is durable.
//! - A receipt stands for one delivery and ends with its visibility time. Extending or deleting with it later is
//!   [`QueueError::StaleReceipt`]. Only a standard queue still deletes with it, until the message is delivered again
//!   (SQS at times even then).
//! - A delivery ends 12 h after its receive; an extension beyond that is [`QueueError::Invalid`].
//! - A FIFO queue looks for free groups only among its first [`LOOKED_AT`] messages.
//! - After `max_receive_count` deliveries without a delete, a message moves to the dead-letter queue.
//!
//! All futures may be dropped. A dropped send may still take effect, and a dropped receive may leave messages
//! in flight until their visibility time runs out.

pub mod consumer;
pub mod deployment;
pub mod embedded;
mod error;
mod message;
mod name;
pub mod sqs;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;

pub use deployment::QueueNames;
pub use error::QueueError;
pub use message::{Depth, OutgoingMessage, QueueAttributes, Receipt, ReceiveOptions, Received, SendOutcome};
pub use name::QueueName;

/// Largest body, in bytes of UTF-8: SQS's limit since August 2025.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Longest delay of a message in a standard queue (SQS `DelaySeconds`).
pub const MAX_DELAY: Duration = Duration::from_mins(15);
/// Longest long poll (SQS `WaitTimeSeconds`).
pub const MAX_WAIT: Duration = Duration::from_secs(20);
/// Longest visibility time (SQS `VisibilityTimeout`), all extensions after a receive included.
pub const MAX_VISIBILITY: Duration = Duration::from_hours(12);
/// Most messages that a receive answers, and most entries of a batch.
pub const MAX_BATCH: usize = 10;
/// A FIFO queue looks for free groups only among this many of its first messages, those in flight included. Behind so
/// many messages of blocked groups nothing is delivered. SQS also delivers nothing while as many are in flight.
pub const LOOKED_AT: u32 = 120_000;
/// For how long a FIFO queue remembers a deduplication id.
pub const DEDUPLICATION_WINDOW: Duration = Duration::from_mins(5);

/// A set of named, durable queues.
#[async_trait]
pub trait Queue: Send + Sync + Debug {
    /// Puts a message into a queue; when this returns, the message is durable.
    ///
    /// Fails with [`QueueError::TooLarge`] and [`QueueError::Invalid`] before anything is sent, and with
    /// [`QueueError::NoSuchQueue`].
    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError>;

    /// [`Queue::send`] for up to ten messages of [`MAX_BODY_BYTES`] together, in one request where the service has such
    /// a thing. Results stand in the order of the messages, and so do those of a group in the queue. Each message has
    /// its own result: what is refused keeps no other from being sent. A batch that is larger is refused as a whole.
    async fn send_batch(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<SendOutcome, QueueError>> {
        if let Some(refused) = message::refuse_batch(&messages) {
            return refused;
        }
        // Polled in their order, so that they reach the queue in it.
        join_all(messages.into_iter().map(|message| self.send(queue, message))).await
    }

    /// Takes up to `options.max` messages, and waits up to `options.wait` for the first. The answer is empty where
    /// none came. Messages of one group come in their order.
    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError>;

    /// Makes a received message's visibility time end `visibility` from now; zero returns the message to the queue at
    /// once. Fails with [`QueueError::StaleReceipt`] once that time is over, and with [`QueueError::Invalid`] where
    /// it would end later than [`MAX_VISIBILITY`] after the receive.
    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError>;

    /// Removes a received message for good.
    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError>;

    /// [`Queue::extend`] for up to ten messages; results stand in the order of the entries.
    async fn extend_batch(
        &self,
        queue: &QueueName,
        entries: &[(Receipt, Duration)],
    ) -> Vec<Result<(), QueueError>> {
        join_all(
            entries
                .iter()
                .map(|(receipt, visibility)| self.extend(queue, receipt, *visibility)),
        )
        .await
    }

    /// [`Queue::delete`] for up to ten messages; results stand in the order of the receipts.
    async fn delete_batch(&self, queue: &QueueName, receipts: &[Receipt]) -> Vec<Result<(), QueueError>> {
        join_all(receipts.iter().map(|receipt| self.delete(queue, receipt))).await
    }

    /// How many messages a queue holds. Approximate on SQS, and seconds old.
    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError>;

    /// Creates a queue if it is absent; an existing one takes the attributes. Its dead-letter queue must exist
    /// and be of the same kind (FIFO or standard).
    async fn ensure(&self, queue: &QueueName, attributes: QueueAttributes) -> Result<(), QueueError>;
}
