//! What an attempt was, and what follows from it.

use chrono::{DateTime, Utc};
use shared::domain::delivery::{Attempt, AttemptFault};
use shared::storage::deliveries::whole_milliseconds;

use super::dispatch::{Handled, Stuck};
use super::transport::{Answer, Missed, Tried};

/// How an attempt ended.
pub(super) enum End {
    /// The endpoint has the event.
    Taken,
    /// It wants no more.
    Gone,
    /// It has not taken it, and has answered this, if anything.
    Failed(Option<Answer>),
    /// Nothing was sent: the breaker is open until then.
    Closed(DateTime<Utc>),
}

/// An attempt that was not made.
pub(super) fn not_made(at: DateTime<Utc>) -> Attempt {
    Attempt {
        at: whole_milliseconds(at),
        status: None,
        took_ms: 0,
        fault: Some(AttemptFault::Paused),
    }
}

/// What an attempt is in the log, and what follows.
pub(super) fn judged(tried: &Tried, began: DateTime<Utc>) -> Handled<(Attempt, End)> {
    let (status, fault, end) = match tried.end {
        Ok(answer) if answer.is_success() => (Some(answer.status), None, End::Taken),
        Ok(Answer { status: 410, .. }) => (Some(410), Some(AttemptFault::Gone), End::Gone),
        Ok(answer) => {
            let fault = match answer.status {
                300..=399 => AttemptFault::Redirect,
                _ => AttemptFault::Status,
            };
            (Some(answer.status), Some(fault), End::Failed(Some(answer)))
        }
        Err(missed) => {
            let fault = match missed {
                Missed::Refused(_) => AttemptFault::AddressRefused,
                Missed::Late => AttemptFault::Timeout,
                Missed::Unnamed => AttemptFault::NameNotResolved,
                Missed::Unreached => AttemptFault::ConnectionFailed,
                Missed::Tls => AttemptFault::TlsFailed,
                Missed::Broken => AttemptFault::ConnectionLost,
                Missed::NoHttp => AttemptFault::BadAnswer,
                Missed::Ours => return Err(Stuck::NoFiles),
            };
            (None, Some(fault), End::Failed(None))
        }
    };
    let attempt = Attempt {
        at: whole_milliseconds(began),
        status,
        took_ms: u32::try_from(tried.took.as_millis()).unwrap_or(u32::MAX),
        fault,
    };
    Ok((attempt, end))
}
