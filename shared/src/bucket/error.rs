//! What can go wrong with the bucket, sorted by what the caller can do about it.

use std::error::Error;

use object_store::client::{HttpError, HttpErrorKind};

use crate::nature::Nature;
use crate::seal::SealError;

/// A failed call to the bucket. An object that is not there is no error: look-ups answer an `Option`.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The bucket did not answer, or asked for fewer requests: the outcome is unknown.
    #[error("the bucket cannot be reached")]
    Unavailable(#[source] BoxError),
    /// No answer in time: the outcome is unknown.
    #[error("the bucket did not answer {0} in time")]
    Timeout(&'static str),
    /// The bucket failed in a way that this build cannot sort: a permission that is missing, a bucket that is not there
    /// (yet).
    #[error("the bucket failed for a reason that is not known")]
    Unknown(#[source] BoxError),
    /// An object could not be sealed or opened.
    #[error("an object could not be sealed or opened")]
    Seal(#[from] SealError),
    /// An object is too short to be what we sealed.
    #[error("a sealed object is cut short")]
    CutShort,
}

/// The cause of a [`BucketError`].
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

impl BucketError {
    /// Whether the same call may succeed later, unchanged.
    pub fn nature(&self) -> Nature {
        match self {
            Self::Unavailable(_) | Self::Timeout(_) => Nature::Transient,
            Self::Unknown(_) => Nature::Unknown,
            Self::Seal(error) => error.nature(),
            Self::CutShort => Nature::Permanent,
        }
    }
}

/// Why something was not put into the bucket. Nothing of it is there then, except after
/// [`Bucket`](Self::Bucket), where nobody can tell.
#[derive(Debug, thiserror::Error)]
pub enum PutError<E> {
    /// What was to be put could not be read.
    #[error("what was to be put could not be read")]
    Source(#[source] E),
    /// It is longer than it may be, in bytes.
    #[error("it is longer than {0} bytes")]
    TooLong(u64),
    /// It is shorter than it was to be, in bytes.
    #[error("it ended after {0} bytes")]
    TooShort(u64),
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// Sorts an error of the library. `None` where there is no such object.
pub(super) fn sorted(error: object_store::Error) -> Option<BucketError> {
    match &error {
        object_store::Error::NotFound { .. } => None,
        _ if passes(&error) => Some(BucketError::Unavailable(error.into())),
        _ => Some(BucketError::Unknown(error.into())),
    }
}

/// The same for a call that finds nothing to be missing, unless the bucket is.
pub(super) fn failed(error: object_store::Error) -> BucketError {
    if passes(&error) {
        BucketError::Unavailable(error.into())
    } else {
        BucketError::Unknown(error.into())
    }
}

/// Whether one of an error's causes is known to pass by itself.
fn passes(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return matches!(
                error.kind(),
                HttpErrorKind::Connect
                    | HttpErrorKind::Request
                    | HttpErrorKind::Timeout
                    | HttpErrorKind::Interrupted
            );
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{Interrupted, ResourceBusy, StorageFull, TimedOut, WouldBlock};
            return matches!(
                error.kind(),
                Interrupted | ResourceBusy | StorageFull | TimedOut | WouldBlock
            );
        }
        // The library keeps the status to itself, and says it in the text alone.
        let text = error.to_string();
        let status = text.strip_prefix("Server returned non-2xx status code: ");
        if status.is_some_and(|status| status.starts_with('5') || status.starts_with("429")) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn generic(source: impl Into<BoxError>) -> object_store::Error {
        object_store::Error::Generic {
            store: "test",
            source: source.into(),
        }
    }

    fn nature(error: object_store::Error) -> Nature {
        sorted(error).expect("not about a missing object").nature()
    }

    #[test]
    fn what_passes_by_itself_is_transient_and_what_nobody_can_sort_is_unknown() {
        let lost = |kind| HttpError::new(kind, io::Error::other("x"));
        assert_eq!(nature(generic(lost(HttpErrorKind::Connect))), Nature::Transient);
        assert_eq!(nature(generic(lost(HttpErrorKind::Timeout))), Nature::Transient);
        assert_eq!(nature(generic(lost(HttpErrorKind::Decode))), Nature::Unknown);
        let disk = |kind| generic(io::Error::new(kind, "x"));
        assert_eq!(nature(disk(io::ErrorKind::StorageFull)), Nature::Transient);
        assert_eq!(nature(disk(io::ErrorKind::PermissionDenied)), Nature::Unknown);
        let status = |code: &str| generic(format!("Server returned non-2xx status code: {code}: "));
        assert_eq!(nature(status("503 Service Unavailable")), Nature::Transient);
        assert_eq!(nature(status("429 Too Many Requests")), Nature::Transient);
        assert_eq!(nature(status("400 Bad Request")), Nature::Unknown);
        let denied = object_store::Error::PermissionDenied {
            path: "x".to_owned(),
            source: "x".into(),
        };
        assert_eq!(nature(denied), Nature::Unknown);
    }

    #[test]
    fn an_object_that_is_not_there_is_no_error() {
        let missing = object_store::Error::NotFound {
            path: "x".to_owned(),
            source: "x".into(),
        };
        assert!(sorted(missing).is_none());
    }
}
