//! Tells a condition that did not hold, which is an outcome, from a fault.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;

/// Whether a write was not done because its condition did not hold.
pub fn condition_failed<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
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
