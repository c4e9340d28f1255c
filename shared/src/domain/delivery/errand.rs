//! What the queue of events that are tried again carries.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::event::Event;
use crate::domain::payload::{Payload, newest};
use crate::ids::{EventId, InstanceId, SubscriptionId};

/// Something to do for a webhook later, or beside the line of its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "errand", rename_all = "camelCase")]
pub enum Errand {
    /// An event is to be sent again.
    Retry(Retry),
    /// A webhook was deleted: what is left of its deliveries is to be removed, and the bodies that were kept.
    #[serde(rename_all = "camelCase")]
    Forget {
        /// The webhook's instance.
        instance: InstanceId,
        /// When the webhook was made: one that was made later is another one, and its deliveries stay.
        webhook: DateTime<Utc>,
        /// When it was deleted.
        deleted_at: DateTime<Utc>,
    },
}

/// An event that is to be sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// The event.
    pub id: EventId,
    /// Its instance.
    pub instance: InstanceId,
    /// The instance's subscription.
    pub subscription: SubscriptionId,
    /// When the webhook was made that it is for: one that was made later gets nothing that happened before it.
    pub webhook: DateTime<Utc>,
    /// How many attempts of its row have been made: 0 where somebody asked for the event again, which begins a row of its
    /// own. Where the delivery counts them, that holds.
    pub attempt: u32,
    /// Its row of attempts: see [`Row::asked_at`](super::Row::asked_at). `None` from a version that knew of no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<DateTime<Utc>>,
    /// When it is to be tried. The queue hides a message for a quarter of an hour at most.
    pub due_at: DateTime<Utc>,
    /// The event itself.
    pub body: Body,
}

/// Where an event is that is to be sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// Here, sealed as it came.
    Here(Box<Event>),
    /// In the bucket.
    Kept,
}

impl Errand {
    /// The version that came with errands.
    const VERSION: u32 = 28;

    /// For how long a queue is to hide it: until it is due, in whole seconds, which is what SQS counts, and never too short.
    pub fn wait(&self, now: DateTime<Utc>) -> Duration {
        let wait = match self {
            Self::Retry(retry) => (retry.due_at - now).to_std().unwrap_or_default(),
            Self::Forget { .. } => Duration::ZERO,
        };
        Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }
}

impl Payload for Errand {
    const READS: u32 = newest(&[Self::VERSION, Event::READS]);

    fn needs(&self) -> u32 {
        match self {
            Self::Retry(Retry {
                body: Body::Here(event),
                ..
            }) => newest(&[Self::VERSION, event.needs()]),
            Self::Retry(_) | Self::Forget { .. } => Self::VERSION,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::event::EventType;
    use crate::domain::payload::{PayloadError, decode, encode};

    fn event(needs: u32) -> Event {
        Event {
            id: EventId::from_bytes([1; 16]),
            kind: EventType::MessageReceived,
            timestamp: DateTime::UNIX_EPOCH,
            instance: InstanceId::from_bytes([2; 16]),
            subscription: SubscriptionId::from_bytes([3; 16]),
            needs,
            trace: None,
            data: "c2VhbGVk".to_owned(),
        }
    }

    fn retry(body: Body) -> Errand {
        let Event {
            id,
            instance,
            subscription,
            ..
        } = event(1);
        Errand::Retry(Retry {
            id,
            instance,
            subscription,
            webhook: DateTime::UNIX_EPOCH,
            attempt: 2,
            asked_at: Some(DateTime::UNIX_EPOCH),
            due_at: DateTime::UNIX_EPOCH + TimeDelta::minutes(5),
            body,
        })
    }

    #[test]
    fn an_errand_is_read_back() {
        let forget = Errand::Forget {
            instance: InstanceId::from_bytes([2; 16]),
            webhook: DateTime::UNIX_EPOCH,
            deleted_at: DateTime::UNIX_EPOCH,
        };
        for errand in [retry(Body::Kept), retry(Body::Here(Box::new(event(9)))), forget] {
            let text = encode(&errand);
            assert_eq!(decode::<Errand>(&text).expect("ours"), errand, "{text}");
        }
    }

    #[test]
    fn a_retry_of_before_rows_is_read() {
        let text = encode(&retry(Body::Kept));
        let before = text.replace(r#""askedAt":"1970-01-01T00:00:00Z","#, "");
        assert_ne!(before, text);
        let Errand::Retry(read) = decode(&before).expect("an old one") else {
            panic!("it is a retry");
        };
        assert_eq!((read.attempt, read.asked_at), (2, None));
    }

    #[test]
    fn an_errand_needs_what_its_event_needs() {
        assert_eq!(retry(Body::Kept).needs(), Errand::VERSION);
        assert_eq!(retry(Body::Here(Box::new(event(1)))).needs(), Errand::VERSION);
        let next = Errand::READS + 1;
        let newer = encode(&retry(Body::Here(Box::new(event(next)))));
        let read = decode::<Errand>(&newer);
        assert!(
            matches!(read, Err(PayloadError::Newer(v)) if v == next),
            "{newer}"
        );
    }
}
