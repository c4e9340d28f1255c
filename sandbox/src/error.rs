//! What can go wrong inside the network, by what its caller can do about it.
//!
//! The admin API turns a variant into an HTTP status, the wire side into a stanza's error code. Failures of storage
//! and crypto are logged where they are handled, and nobody else learns their details.

use wacore_libsignal::protocol::SignalProtocolError;

/// A failure of one piece of work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It exists, in a state that forbids the request.
    #[error("{0}")]
    Conflict(String),
    /// The request cannot be understood or is out of range.
    #[error("{0}")]
    Invalid(String),
    /// What was waited for did not happen in time.
    #[error("{0}")]
    TimedOut(String),
    /// A rule of the network forbids it.
    #[error("{reason}")]
    Refused {
        /// The code that a client gets to see.
        code: u16,
        /// The words that go with the code.
        condition: &'static str,
        /// Why, for people.
        reason: &'static str,
    },
    /// `SQLite` refused; nothing of the work was stored.
    #[error("the store failed")]
    Storage(#[from] rusqlite::Error),
    /// `SQLite` could not commit; nothing of the work was stored.
    #[error("the store failed to commit: {0}")]
    Commit(String),
    /// A Signal operation failed.
    #[error("a Signal operation failed")]
    Signal(#[from] SignalProtocolError),
    /// Stored or received bytes do not decode.
    #[error("cannot decode {what}: {detail}")]
    Codec {
        /// What was being decoded.
        what: &'static str,
        /// The decoder's words.
        detail: String,
    },
    /// The work ended in a panic, of which the standard error output has the words; nothing of it was stored.
    #[error("the work panicked")]
    Panicked,
    /// The sandbox is shutting down.
    #[error("the sandbox is shutting down")]
    Stopped,
}

impl Error {
    /// A [`Error::Codec`] from any decoder's error.
    pub(crate) fn codec(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Codec {
            what,
            detail: detail.to_string(),
        }
    }

    /// 401: the account has no right to what it asks.
    pub(crate) fn not_authorized(reason: &'static str) -> Self {
        Self::refused(401, "not-authorized", reason)
    }

    /// 403: the account is not in, or has not the role for it.
    pub(crate) fn forbidden(reason: &'static str) -> Self {
        Self::refused(403, "forbidden", reason)
    }

    /// 406: a value that the network does not take.
    pub(crate) fn not_acceptable(reason: &'static str) -> Self {
        Self::refused(406, "not-acceptable", reason)
    }

    /// 410: it was there once.
    pub(crate) fn gone(reason: &'static str) -> Self {
        Self::refused(410, "gone", reason)
    }

    /// 419: there is no room left.
    pub(crate) fn full(reason: &'static str) -> Self {
        Self::refused(419, "resource-limit", reason)
    }

    fn refused(code: u16, condition: &'static str, reason: &'static str) -> Self {
        Self::Refused {
            code,
            condition,
            reason,
        }
    }

    /// What the log may say of it. Signal's own words name people by their numbers and stay out.
    pub(crate) fn for_log(&self) -> String {
        match self {
            Self::Storage(cause) => format!("{self}: {cause}"),
            _ => self.to_string(),
        }
    }
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
