//! Tells a condition that did not hold, which is an outcome, from a fault.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;

use super::error::{StorageError, classify};

/// Whether a write was not done because its condition did not hold.
pub fn condition_failed<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
}

/// Whether a conditional write was done: `false` where its condition did not hold.
pub fn held<T, E, R>(sent: Result<T, SdkError<E, R>>) -> Result<bool, StorageError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match sent {
        Ok(_) => Ok(true),
        Err(error) if condition_failed(&error) => Ok(false),
        Err(error) => Err(classify(error)),
    }
}

/// What came of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transacted {
    /// All of it is written.
    Done,
    /// None of it is: for each write, whether its condition did not hold.
    Refused(Vec<bool>),
}

/// For each write of a cancelled transaction, whether its condition did not hold. Empty
/// where the transaction failed for another reason.
pub(super) fn failed_conditions<R>(error: &SdkError<TransactWriteItemsError, R>) -> Vec<bool> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled
            .cancellation_reasons()
            .iter()
            .map(|reason| reason.code() == Some("ConditionalCheckFailed"))
            .collect::<Vec<_>>(),
        _ => Vec::new(),
    }
}
