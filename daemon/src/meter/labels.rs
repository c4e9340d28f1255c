//! The names by which things are counted apart. Those in capitals are the API's own.

use shared::domain::instance::Status;
use shared::domain::message::FailureCode;
use shared::domain::question::{Outcome, Refusal};

use super::Named;
use crate::stop::Course;

/// How a message's sending ended, once that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendEnd {
    /// WhatsApp's server has it.
    Sent,
    /// It failed.
    Failed,
    /// Its time ran out.
    Expired,
}

impl Named for SendEnd {
    const ALL: &'static [Self] = &[Self::Sent, Self::Failed, Self::Expired];

    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

/// Why an attempt to send a message is followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// WhatsApp wants fewer messages of the account.
    Throttled,
    /// WhatsApp refused it for a reason that may pass.
    Refused,
    /// It went out, and no acknowledgement came in time.
    Unanswered,
    /// The connection ended under it.
    ConnectionEnded,
    /// It did not go out.
    NotSent,
}

impl Named for Retry {
    const ALL: &'static [Self] = &[
        Self::Throttled,
        Self::Refused,
        Self::Unanswered,
        Self::ConnectionEnded,
        Self::NotSent,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::ConnectionEnded => "connection_ended",
            Self::NotSent => "not_sent",
        }
    }
}

/// What came of a question to an instance's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionEnd {
    /// It was answered.
    Answered,
    /// WhatsApp, or what is asked for, does not allow it.
    Refused,
    /// WhatsApp wants fewer questions of the account.
    Throttled,
    /// The instance has no connection.
    NotConnected,
    /// It could not be done, or nobody knows whether it was.
    Unavailable,
    /// Its time was over before there was an answer.
    Late,
}

impl QuestionEnd {
    /// That of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Ok(_) => Self::Answered,
            Err(Refusal::NotConnected) => Self::NotConnected,
            Err(Refusal::Throttled { .. }) => Self::Throttled,
            Err(Refusal::Busy | Refusal::Unavailable | Refusal::InDoubt) => Self::Unavailable,
            Err(_) => Self::Refused,
        }
    }
}

impl Named for QuestionEnd {
    const ALL: &'static [Self] = &[
        Self::Answered,
        Self::Refused,
        Self::Throttled,
        Self::NotConnected,
        Self::Unavailable,
        Self::Late,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::NotConnected => "not_connected",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
        }
    }
}

impl Named for Course {
    const ALL: &'static [Self] = Course::ALL;

    /// The reason that an instance's status has meanwhile, where it has one.
    fn name(self) -> &'static str {
        self.pauses().map_or("LOST", |pauses| pauses.reason.as_str())
    }
}

impl Named for Status {
    const ALL: &'static [Self] = Status::ALL;

    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Named for FailureCode {
    const ALL: &'static [Self] = FailureCode::ALL;

    fn name(self) -> &'static str {
        self.as_str()
    }
}
