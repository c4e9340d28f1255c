//! What can go wrong with the store, sorted by what the caller can do about it.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::nature::Nature;
use crate::telemetry::chain;

/// A failed call to the store. A condition that did not hold is no error: functions that write under a condition
/// answer an outcome of their own.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A condition did not hold where the caller expected it to, or another transaction had the item. Reading and
    /// trying again may help.
    #[error("the item was changed by someone else meanwhile")]
    Conflict(#[source] BoxError),
    /// A writer with a newer lease has been here: this writer must stop.
    #[error("a newer owner has written this item")]
    Fenced,
    /// The store asks for fewer requests; the SDK's own retries are used up.
    #[error("the store is throttling")]
    Throttled(#[source] BoxError),
    /// The store did not answer in time or not at all: the outcome is unknown.
    #[error("the store cannot be reached")]
    Unavailable(#[source] BoxError),
    /// The request itself is wrong: a defect of ours, or a table of another shape.
    #[error("the store refused the request")]
    Refused(#[source] BoxError),
    /// The item is larger than the store allows: it can be stored smaller or not at all.
    #[error("the item is too large to be stored")]
    TooLarge(#[source] BoxError),
    /// The store failed in a way that this build cannot sort: a code that it does not know, a
    /// permission that is missing, a table that is not there (yet).
    #[error("the store failed for a reason that is not known")]
    Unknown(#[source] BoxError),
    /// An item does not have the shape that its reader knows.
    #[error("stored {entity} {key} is corrupt at {field}")]
    Corrupt {
        /// What the item is, e.g. `instance`.
        entity: &'static str,
        /// Its partition and sort key.
        key: String,
        /// The attribute that is missing or of another type.
        field: &'static str,
    },
}

/// The cause of a [`StorageError`].
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

impl StorageError {
    /// Whether the same call may succeed later, unchanged.
    pub fn nature(&self) -> Nature {
        match self {
            Self::Conflict(_) | Self::Throttled(_) | Self::Unavailable(_) => Nature::Transient,
            Self::Fenced | Self::Refused(_) | Self::TooLarge(_) | Self::Corrupt { .. } => Nature::Permanent,
            Self::Unknown(_) => Nature::Unknown,
        }
    }

    /// Whether the call certainly left everything as it was: the store was throttling, or somebody else had the item or had
    /// changed it. `false` leaves that open.
    pub fn was_not_executed(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Conflict(_))
    }

    /// The same failure for another caller, whose request was in the same call. Its cause is the text of the causes of
    /// this one.
    pub(super) fn again(&self) -> Self {
        let told = |cause: &BoxError| BoxError::from(chain(&**cause));
        match self {
            Self::Conflict(cause) => Self::Conflict(told(cause)),
            Self::Fenced => Self::Fenced,
            Self::Throttled(cause) => Self::Throttled(told(cause)),
            Self::Unavailable(cause) => Self::Unavailable(told(cause)),
            Self::Refused(cause) => Self::Refused(told(cause)),
            Self::TooLarge(cause) => Self::TooLarge(told(cause)),
            Self::Unknown(cause) => Self::Unknown(told(cause)),
            Self::Corrupt { entity, key, field } => Self::Corrupt {
                entity,
                key: key.clone(),
                field,
            },
        }
    }
}

/// Sorts an SDK error into the kinds above. A failed condition becomes
/// [`StorageError::Conflict`]: calls that expect one look for it before they come here.
pub fn classify<E, R>(error: SdkError<E, R>) -> StorageError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default();
    match (&error, code) {
        (
            SdkError::ServiceError(_),
            "ConditionalCheckFailedException"
            | "TransactionCanceledException"
            | "TransactionConflictException"
            | "TransactionInProgressException",
        ) => StorageError::Conflict(error.into()),
        (
            SdkError::ServiceError(_),
            "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "LimitExceededException",
        ) => StorageError::Throttled(error.into()),
        (SdkError::ServiceError(_), "ValidationException") if is_about_size(error.message()) => {
            StorageError::TooLarge(error.into())
        }
        (SdkError::ServiceError(_), "ValidationException" | "SerializationException")
        | (SdkError::ConstructionFailure(_), _) => StorageError::Refused(error.into()),
        (SdkError::ServiceError(_), "InternalServerError" | "ServiceUnavailable")
        | (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_), _) => {
            StorageError::Unavailable(error.into())
        }
        _ => StorageError::Unknown(error.into()),
    }
}

/// Whether a request certainly was not executed: the store was throttling, another transaction had the item, or
/// nobody took the connection. A failed condition does not count, since it is an outcome. After every other failure
/// nobody can tell.
pub(super) fn was_not_executed<E, R>(error: &SdkError<E, R>) -> bool
where
    E: ProvideErrorMetadata + Error + 'static,
    R: Debug,
{
    match error {
        SdkError::ServiceError(_) => matches!(
            error.code().unwrap_or_default(),
            "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "ThrottlingException"
                | "LimitExceededException"
                | "TransactionConflictException"
        ),
        SdkError::DispatchFailure(failure) => failure
            .as_connector_error()
            .is_some_and(|error| was_refused_a_connection(error)),
        _ => false,
    }
}

/// Whether one of an error's causes is that nobody listens.
fn was_refused_a_connection(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && error.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// DynamoDB has no code of its own for items over 400 KB: it says "Item size has exceeded the
/// maximum allowed size", and of updates "Item size to update has exceeded …".
fn is_about_size(message: Option<&str>) -> bool {
    message.is_some_and(|message| {
        let message = message.to_ascii_lowercase();
        message.contains("item size") && message.contains("exceeded")
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::get_item::GetItemError;

    use super::*;

    fn sorted(code: &str) -> StorageError {
        let metadata = ErrorMetadata::builder().code(code).build();
        classify(SdkError::service_error(GetItemError::generic(metadata), ()))
    }

    #[test]
    fn what_passes_by_itself_is_transient() {
        for code in [
            "ConditionalCheckFailedException",
            "TransactionConflictException",
            "ProvisionedThroughputExceededException",
            "ThrottlingException",
            "RequestLimitExceeded",
            "InternalServerError",
            "ServiceUnavailable",
        ] {
            assert_eq!(sorted(code).nature(), Nature::Transient, "{code}");
        }
        let none: SdkError<GetItemError, ()> = SdkError::timeout_error("no answer");
        assert_eq!(classify(none).nature(), Nature::Transient);
    }

    /// Somebody may mend each of these errors, so a caller that meets one waits.
    #[test]
    fn what_nobody_can_sort_is_unknown() {
        for code in [
            "AccessDeniedException",
            "ResourceNotFoundException",
            "UnrecognizedClientException",
            "ExpiredTokenException",
            "ReplicatedWriteConflictException",
            "CodeOfNextYear",
            "",
        ] {
            assert_eq!(sorted(code).nature(), Nature::Unknown, "{code}");
        }
    }

    /// The outcome of a request to count whose connection this listener ends at once. Without a listener the
    /// connection is refused.
    async fn unanswered(listener: Option<tokio::net::TcpListener>, port: u16) -> bool {
        let ending =
            listener.map(|listener| tokio::spawn(async move { while listener.accept().await.is_ok() {} }));
        let table = super::super::Table::new(
            &crate::aws::stand_in(&format!("http://127.0.0.1:{port}")),
            "waxwing",
        );
        let retries = aws_sdk_dynamodb::config::retry::RetryConfig::disabled();
        let config = aws_sdk_dynamodb::config::Builder::new().retry_config(retries);
        let request = table.client().update_item().table_name(table.name());
        let sent = request.customize().config_override(config).send().await;
        if let Some(ending) = ending {
            ending.abort();
            // It listens until it has ended.
            let _ = ending.await;
        }
        was_not_executed(&sent.expect_err("no answer"))
    }

    #[tokio::test]
    async fn a_connection_that_nobody_takes_has_executed_nothing_and_one_that_ends_may_have() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        assert!(!unanswered(Some(listener), port).await);
        assert!(unanswered(None, port).await);
    }

    #[test]
    fn a_failure_told_to_another_is_of_the_same_kind_and_names_its_cause() {
        for code in [
            "ConditionalCheckFailedException",
            "ThrottlingException",
            "InternalServerError",
            "ValidationException",
            "CodeOfNextYear",
        ] {
            let (error, again) = (sorted(code), sorted(code).again());
            assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&error));
            assert_eq!(chain(&again), chain(&error), "{code}");
        }
        let too_large = StorageError::TooLarge("of its size".into());
        assert!(matches!(too_large.again(), StorageError::TooLarge(_)));
        assert!(matches!(StorageError::Fenced.again(), StorageError::Fenced));
        let corrupt = StorageError::Corrupt {
            entity: "month",
            key: "ctr#1/month#1".to_owned(),
            field: "messages",
        };
        assert_eq!(corrupt.again().to_string(), corrupt.to_string());
    }

    #[test]
    fn only_a_request_that_is_wrong_and_an_item_that_is_damaged_are_permanent() {
        assert!(sorted("ValidationException").nature().is_permanent());
        let corrupt = StorageError::Corrupt {
            entity: "message",
            key: "m#1".to_owned(),
            field: "state",
        };
        assert!(corrupt.nature().is_permanent());
    }
}
