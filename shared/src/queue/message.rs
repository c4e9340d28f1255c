//! What goes into a queue and comes out of it, and the rules that hold before a call leaves the process.
//!
//! Both adapters check these rules, so a mistake shows on the local stack and not first on AWS.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{MAX_BATCH, MAX_BODY_BYTES, MAX_DELAY, MAX_VISIBILITY, MAX_WAIT, QueueError, QueueName};

/// SQS's limit for message group ids and deduplication ids.
const MAX_ID_LENGTH: usize = 128;
/// SQS's limits for `MessageRetentionPeriod`.
const RETENTION: std::ops::RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(14 * 24);
/// SQS's limit for `maxReceiveCount`.
const MAX_RECEIVE_COUNT: u32 = 1_000;

/// A message to send. Its `Debug` form leaves out the body, which may be content.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The payload: 1 byte to 1 MiB, without control characters other than tab, line feed and carriage return.
    pub body: String,
    /// The line in which the message keeps its place; needed for FIFO queues, refused for standard ones.
    /// 1 to 128 ASCII letters, digits and punctuation marks.
    pub group: Option<String>,
    /// Sends with the same id are the same message. It is needed and spelled as `group` is.
    pub dedup_id: Option<String>,
    /// For how long the message stays hidden at first, up to 15 min; standard queues only.
    pub delay: Option<Duration>,
}

impl OutgoingMessage {
    /// A message for a standard queue.
    pub fn standard(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            group: None,
            dedup_id: None,
            delay: None,
        }
    }

    /// A message for a FIFO queue.
    pub fn fifo(body: impl Into<String>, group: impl Into<String>, dedup_id: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            group: Some(group.into()),
            dedup_id: Some(dedup_id.into()),
            delay: None,
        }
    }

    /// The same message, hidden for `delay` at first.
    #[must_use]
    pub fn delayed(self, delay: Duration) -> Self {
        Self {
            delay: Some(delay),
            ..self
        }
    }

    pub(super) fn check(&self, queue: &QueueName) -> Result<(), QueueError> {
        if self.body.len() > MAX_BODY_BYTES {
            return Err(QueueError::TooLarge {
                bytes: self.body.len(),
            });
        }
        if self.body.is_empty() {
            return Err(QueueError::invalid("the body is empty"));
        }
        // The characters that XML 1.0 has no form for, which SQS refuses.
        let forbidden = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
        if self.body.contains(forbidden) {
            return Err(QueueError::invalid("the body has a control character"));
        }
        if queue.is_fifo() {
            check_id("group", self.group.as_deref())?;
            check_id("deduplication id", self.dedup_id.as_deref())?;
            if self.delay.is_some() {
                return Err(QueueError::invalid("a FIFO queue delays no single message"));
            }
        } else if self.group.is_some() || self.dedup_id.is_some() {
            return Err(QueueError::invalid(
                "groups and deduplication belong to FIFO queues",
            ));
        }
        match self.delay {
            Some(delay) if delay > MAX_DELAY => Err(QueueError::invalid("the delay is over 15 min")),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for OutgoingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMessage")
            .field("bytes", &self.body.len())
            .field("group", &self.group)
            .field("dedup_id", &self.dedup_id)
            .field("delay", &self.delay)
            .finish()
    }
}

fn check_id(what: &str, id: Option<&str>) -> Result<(), QueueError> {
    match id {
        None => Err(QueueError::invalid(format!("a FIFO message needs a {what}"))),
        Some(id)
            if id.is_empty() || id.len() > MAX_ID_LENGTH || !id.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Err(QueueError::invalid(format!(
                "the {what} is not 1 to 128 printable ASCII characters"
            )))
        }
        Some(_) => Ok(()),
    }
}

/// The answer to a batch that is larger than a batch may be; `None` where it is not.
pub(super) fn refuse_batch(messages: &[OutgoingMessage]) -> Option<Vec<Result<SendOutcome, QueueError>>> {
    let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
    let is_long = messages.len() > MAX_BATCH;
    // One message that is too large by itself is refused by itself.
    if !is_long && (bytes <= MAX_BODY_BYTES || messages.len() == 1) {
        return None;
    }
    let refusal = || {
        if is_long {
            QueueError::invalid("a batch has ten entries at most")
        } else {
            QueueError::TooLarge { bytes }
        }
    };
    Some(messages.iter().map(|_| Err(refusal())).collect())
}

/// What became of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendOutcome {
    /// The id that the queue gave the message; for a duplicate, the first message's.
    pub message_id: String,
    /// Whether the message was dropped as a duplicate; `None` where the service does not say (SQS).
    pub duplicate: Option<bool>,
}

/// A delivery's handle, for [`extend`](super::Queue::extend) and [`delete`](super::Queue::delete).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub(super) String);

impl Receipt {
    /// A receipt from its text, for a holder that did not get it from [`Received`].
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The receipt as the queue spelled it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that this consumer holds until its visibility time runs out. Its `Debug` form leaves out the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// The payload.
    pub body: String,
    /// The handle of this delivery.
    pub receipt: Receipt,
    /// The queue's id of the message, the same at every delivery.
    pub message_id: String,
    /// The message's group; `None` in a standard queue.
    pub group: Option<String>,
    /// How often the message was delivered, this time included.
    pub receive_count: u32,
    /// When it was sent, to the millisecond; `None` where the service does not say so.
    pub sent_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("bytes", &self.body.len())
            .field("message_id", &self.message_id)
            .field("group", &self.group)
            .field("receive_count", &self.receive_count)
            .finish_non_exhaustive()
    }
}

/// How to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveOptions {
    /// Most messages to take, 1 to 10.
    pub max: u8,
    /// How long to wait for the first message, up to 20 s. SQS counts in whole seconds, rounded up.
    pub wait: Duration,
    /// How long the messages are this consumer's: more than 0 and up to 12 h. SQS counts in whole seconds, rounded
    /// up.
    pub visibility: Duration,
}

impl ReceiveOptions {
    pub(super) fn check(&self) -> Result<(), QueueError> {
        if !(1..=MAX_BATCH).contains(&usize::from(self.max)) {
            return Err(QueueError::invalid("a receive takes 1 to 10 messages"));
        }
        if self.wait > MAX_WAIT {
            return Err(QueueError::invalid("a long poll waits 20 s at most"));
        }
        if self.visibility.is_zero() {
            return Err(QueueError::invalid("a received message is hidden for some time"));
        }
        check_visibility(self.visibility)
    }
}

pub(super) fn check_visibility(visibility: Duration) -> Result<(), QueueError> {
    if visibility > MAX_VISIBILITY {
        return Err(QueueError::invalid("the visibility time is over 12 h"));
    }
    Ok(())
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting to be received, those of blocked groups included.
    pub visible: u64,
    /// Received and not yet deleted or returned.
    pub in_flight: u64,
    /// Sent with a delay that is not over.
    pub delayed: u64,
}

/// What a queue is created with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAttributes {
    /// The queue's own visibility time, for consumers that name none, such as Lambda's event source mapping.
    pub visibility: Duration,
    /// For how long a message is kept, counted from its send: 1 min to 14 days.
    pub retention: Duration,
    /// The dead-letter queue, and after how many deliveries (1 to 1,000) a message goes there.
    pub dead_letter: Option<(QueueName, u32)>,
}

impl QueueAttributes {
    pub(super) fn check(&self, queue: &QueueName) -> Result<(), QueueError> {
        check_visibility(self.visibility)?;
        if !RETENTION.contains(&self.retention) {
            return Err(QueueError::invalid(
                "the retention is not between 1 min and 14 days",
            ));
        }
        match &self.dead_letter {
            Some((dead, _)) if dead.is_fifo() != queue.is_fifo() => {
                Err(QueueError::invalid("a dead-letter queue is of its source's kind"))
            }
            Some((_, count)) if !(1..=MAX_RECEIVE_COUNT).contains(count) => Err(QueueError::invalid(
                "the receive count is not between 1 and 1,000",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fifo() -> QueueName {
        QueueName::new("q.fifo").unwrap()
    }

    fn standard() -> QueueName {
        QueueName::new("q").unwrap()
    }

    #[test]
    fn a_message_must_suit_its_queue() {
        assert!(
            OutgoingMessage::fifo("x", "inst#1", "msg:1")
                .check(&fifo())
                .is_ok()
        );
        assert!(OutgoingMessage::standard("x").check(&standard()).is_ok());
        let refused = [
            (OutgoingMessage::standard("x"), fifo()),
            (OutgoingMessage::fifo("x", "a b", "1"), fifo()),
            (OutgoingMessage::fifo("x", "g", "1".repeat(129)), fifo()),
            (
                OutgoingMessage::fifo("x", "g", "1").delayed(Duration::from_secs(1)),
                fifo(),
            ),
            (OutgoingMessage::fifo("x", "g", "1"), standard()),
            (
                OutgoingMessage::standard("x").delayed(MAX_DELAY + Duration::from_secs(1)),
                standard(),
            ),
            (OutgoingMessage::standard(""), standard()),
            (OutgoingMessage::standard("\u{0}"), standard()),
        ];
        for (message, queue) in refused {
            assert!(
                matches!(message.check(&queue), Err(QueueError::Invalid(_))),
                "{message:?} in {queue}"
            );
        }
    }

    #[test]
    fn debug_forms_keep_the_body_to_themselves() {
        let message = OutgoingMessage::standard("+4915112345678 hello");
        assert!(!format!("{message:?}").contains("hello"));
    }

    #[test]
    fn a_dead_letter_queue_is_of_the_same_kind() {
        let attributes = QueueAttributes {
            visibility: Duration::from_secs(10),
            retention: Duration::from_mins(1),
            dead_letter: Some((standard(), 3)),
        };
        assert!(attributes.check(&standard()).is_ok());
        assert!(matches!(attributes.check(&fifo()), Err(QueueError::Invalid(_))));
    }
}
