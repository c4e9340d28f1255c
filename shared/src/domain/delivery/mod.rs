//! What became of an event on its way to a webhook: its delivery, with every attempt. It says nothing of what the event
//! tells.

mod errand;

use chrono::{DateTime, TimeDelta, Utc};

use super::event::Event;
use super::text_enum;
use crate::ids::{DeliveryId, EventId, InstanceId, MessageId};

pub use self::errand::{Body, Errand, Retry};

/// How long a delivery is known, and the body of one that failed is kept.
pub const TERM: TimeDelta = TimeDelta::days(14);

/// How many attempts a delivery tells of. What comes after them changes its state, and is not told by itself.
pub const MAX_ATTEMPTS: usize = 32;

text_enum! {
    /// How far a delivery is.
    DeliveryState {
        /// It is to be tried again.
        Pending = "pending",
        /// The endpoint has taken it.
        Succeeded = "succeeded",
        /// It is not tried any more, unless somebody asks for it.
        Failed = "failed",
    }
    else
        /// One that a newer version has stored.
        Unknown = "unknown"
}

text_enum! {
    /// Why an attempt failed.
    AttemptFault {
        /// The endpoint answered with another status than 2xx.
        Status = "STATUS",
        /// The endpoint answered with a redirect, which is not followed.
        Redirect = "REDIRECT",
        /// The endpoint answered 410: it wants no more.
        Gone = "GONE",
        /// There was no whole head of an answer in time.
        Timeout = "TIMEOUT",
        /// The host's name leads nowhere.
        NameNotResolved = "NAME_NOT_RESOLVED",
        /// The host's name, or the URL, leads to an address that is not of the internet.
        AddressRefused = "ADDRESS_REFUSED",
        /// Nobody took the connection.
        ConnectionFailed = "CONNECTION_FAILED",
        /// The host's certificate is none for it, or there was no agreement on TLS.
        TlsFailed = "TLS_FAILED",
        /// The connection ended before the answer.
        ConnectionLost = "CONNECTION_LOST",
        /// The answer is no HTTP, or larger than any answer may be.
        BadAnswer = "BAD_ANSWER",
        /// Nothing was sent: the endpoint has failed several times in a row, or has asked for it, and is left alone for a while.
        Paused = "ENDPOINT_PAUSED",
    }
    else
        /// One that a newer version has stored.
        Unknown = "UNKNOWN"
}

/// One attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// When it began, to the millisecond. Two attempts of a delivery do not begin at the same time.
    pub at: DateTime<Utc>,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// Why it failed; `None` where the endpoint has taken the event.
    pub fault: Option<AttemptFault>,
}

/// A row of attempts: the first begins with the event, another one where somebody asks for the event again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Row {
    /// When somebody asked for it, to the millisecond; the Unix epoch of the first one. A later row ends an earlier one.
    pub asked_at: DateTime<Utc>,
    /// How many of its attempts are over; `None` where a version has stored it that did not count them.
    pub made: Option<u32>,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How far the delivery is. One that has succeeded stays so, whatever comes after it.
    pub state: DeliveryState,
    /// When it is tried again; of a pending one. While an attempt is claimed, when others may try.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Until when the event's body is kept, and it can be sent again; `None` where it is not.
    pub body_until: Option<DateTime<Utc>>,
    /// Which row of attempts this is about.
    pub row: Row,
}

/// An event on its way to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, which is the event's in another spelling.
    pub id: DeliveryId,
    /// The instance.
    pub instance: InstanceId,
    /// The event's type, as it is spelled: a newer version may know more of them.
    pub kind: String,
    /// The message that the event is about.
    pub message: Option<MessageId>,
    /// When it was tried first, or was about to be, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// How far it is, when it is tried again, and for how long it can be.
    pub progress: Progress,
    /// What was tried, the first attempt first: [`MAX_ATTEMPTS`] at most.
    pub attempts: Vec<Attempt>,
}

impl Delivery {
    /// The delivery of an event after its first attempt. `message` is what
    /// [`Data::message`](super::event::Data::message) says.
    pub fn first(event: &Event, message: Option<MessageId>, attempt: Attempt, progress: Progress) -> Self {
        Self {
            attempts: vec![attempt],
            ..Self::claimed(event, message, attempt.at, progress)
        }
    }

    /// The delivery of an event of which an attempt begins at `at`, in whole milliseconds, and none is over.
    pub fn claimed(event: &Event, message: Option<MessageId>, at: DateTime<Utc>, progress: Progress) -> Self {
        Self {
            id: DeliveryId::of(event.id),
            instance: event.instance,
            kind: event.kind.to_string(),
            message,
            created_at: at,
            progress,
            attempts: Vec::new(),
        }
    }

    /// The event.
    pub fn event(&self) -> EventId {
        self.id.event()
    }

    /// Whether the event can be sent again at `now`.
    pub fn can_be_replayed(&self, now: DateTime<Utc>) -> bool {
        self.progress.body_until.is_some_and(|until| now < until)
    }
}
