//! What can go wrong with a queue, sorted by what the caller can do about it.

use std::error::Error;

use super::{MAX_BODY_BYTES, QueueName};
use crate::nature::Nature;

/// Why a queue call failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue does not exist: the deployment is not finished, or the name is wrong. It may come yet or never.
    #[error("queue {0} does not exist")]
    NoSuchQueue(QueueName),

    /// The receipt is not of the message's latest delivery: its visibility time ran out and another consumer received
    /// the message, or it was deleted. Drop the work, which is another's now.
    #[error("the receipt is stale: the message was received again or is gone")]
    StaleReceipt,

    /// The body is larger than a message may be. Retrying does not help.
    #[error("a message of {bytes} bytes is larger than {MAX_BODY_BYTES}")]
    TooLarge {
        /// Length of the refused body.
        bytes: usize,
    },

    /// The call broke a rule of the port (a FIFO message without a group, a wait over 20 s). A mistake in our code.
    #[error("invalid queue call: {0}")]
    Invalid(String),

    /// The service asks for fewer calls. Nothing happened; try again later, with jitter.
    #[error("the queue service throttles")]
    Throttled {
        /// The service's own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },

    /// The queue cannot be reached or refuses to work. It is not known whether the call took effect.
    #[error("the queue is unavailable")]
    Unavailable {
        /// The underlying error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },

    /// No answer in time. It is not known whether the call took effect.
    #[error("queue call {operation} timed out")]
    Timeout {
        /// Which call it was, for the log.
        operation: &'static str,
    },
}

impl QueueError {
    /// Whether the same call may succeed later. Sends to a FIFO queue are safe to repeat within the
    /// deduplication window; sends to a standard queue may then arrive twice.
    pub fn nature(&self) -> Nature {
        match self {
            Self::Throttled { .. } | Self::Unavailable { .. } | Self::Timeout { .. } => Nature::Transient,
            Self::NoSuchQueue(_) => Nature::Unknown,
            Self::StaleReceipt | Self::TooLarge { .. } | Self::Invalid(_) => Nature::Permanent,
        }
    }

    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    pub(super) fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable {
            source: source.into(),
        }
    }
}
