//! SQS's errors, sorted by what the caller can do.

use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;

use crate::queue::{QueueError, QueueName};

/// Sorts a failed call. The codes come in two spellings, of the JSON protocol and of the query protocol before it.
pub(super) fn from_sdk<E, R>(queue: &QueueName, operation: &'static str, error: SdkError<E, R>) -> QueueError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match &error {
        SdkError::TimeoutError(_) => QueueError::Timeout { operation },
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default().to_owned();
            let message = service.err().message().unwrap_or_default().to_owned();
            classify(queue, &code, &message, error)
        }
        _ => QueueError::unavailable(error),
    }
}

/// Spreads the answer of a batch over its entries, whose ids are their positions. `None` is an empty batch.
pub(super) fn per_entry<T>(
    queue: &QueueName,
    entries: usize,
    outcome: Option<Result<T, QueueError>>,
    failed: impl FnOnce(T) -> Vec<BatchResultErrorEntry>,
) -> Vec<Result<(), QueueError>> {
    match outcome {
        None => Vec::new(),
        Some(Ok(answer)) => {
            let mut results: Vec<_> = (0..entries).map(|_| Ok(())).collect();
            for entry in failed(answer) {
                if let Some(result) = entry.id.parse::<usize>().ok().and_then(|at| results.get_mut(at)) {
                    let message = entry.message.unwrap_or_default();
                    *result = Err(classify(queue, &entry.code, &message, message.clone()));
                }
            }
            results
        }
        Some(Err(error)) => (0..entries).map(|_| Err(again(&error))).collect(),
    }
}

fn classify(
    queue: &QueueName,
    code: &str,
    message: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> QueueError {
    match code.rsplit('.').next().unwrap_or(code) {
        "QueueDoesNotExist" | "NonExistentQueue" => QueueError::NoSuchQueue(queue.clone()),
        "ReceiptHandleIsInvalid" | "MessageNotInflight" => QueueError::StaleReceipt,
        // What SQS answers for a receipt whose visibility time is over; it has no code of its own for that.
        "InvalidParameterValue" if message.contains("ReceiptHandle") => QueueError::StaleReceipt,
        "InvalidParameterValue"
        | "InvalidParameterCombination"
        | "MissingParameter"
        | "InvalidMessageContents"
        | "InvalidAttributeName"
        | "InvalidAttributeValue"
        | "UnsupportedOperation"
        | "QueueNameExists" => QueueError::invalid(format!("{code}: {message}")),
        "RequestThrottled"
        | "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "OverLimit"
        | "KmsThrottled" => QueueError::Throttled {
            source: source.into(),
        },
        _ => QueueError::unavailable(source),
    }
}

/// The error of a whole batch again, for one of its entries. Sources cannot be cloned, so their text stands in.
fn again(error: &QueueError) -> QueueError {
    match error {
        QueueError::NoSuchQueue(queue) => QueueError::NoSuchQueue(queue.clone()),
        QueueError::StaleReceipt => QueueError::StaleReceipt,
        QueueError::TooLarge { bytes } => QueueError::TooLarge { bytes: *bytes },
        QueueError::Invalid(reason) => QueueError::Invalid(reason.clone()),
        QueueError::Throttled { source } => QueueError::Throttled {
            source: text_of(&**source),
        },
        QueueError::Unavailable { source } => QueueError::Unavailable {
            source: text_of(&**source),
        },
        QueueError::Timeout { operation } => QueueError::Timeout { operation },
    }
}

fn text_of(error: &(dyn std::error::Error + Send + Sync)) -> Box<dyn std::error::Error + Send + Sync> {
    DisplayErrorContext(error).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nature::Nature;

    fn sorted(code: &str, message: &str) -> QueueError {
        classify(&QueueName::new("q.fifo").unwrap(), code, message, "source")
    }

    #[test]
    fn both_spellings_of_a_missing_queue_are_known() {
        assert!(matches!(
            sorted("QueueDoesNotExist", ""),
            QueueError::NoSuchQueue(_)
        ));
        assert!(matches!(
            sorted("AWS.SimpleQueueService.NonExistentQueue", ""),
            QueueError::NoSuchQueue(_)
        ));
    }

    #[test]
    fn an_expired_receipt_is_stale_and_no_mistake() {
        let text =
            "Value AQEB for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.";
        let changed = "Value AQEB for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not \
                       available for visibility timeout change.";
        for text in [text, changed] {
            assert!(matches!(
                sorted("InvalidParameterValue", text),
                QueueError::StaleReceipt
            ));
        }
        let total = "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the \
                     message is beyond the limit [43200 seconds].";
        assert!(matches!(
            sorted("InvalidParameterValue", total),
            QueueError::Invalid(_)
        ));
        assert!(matches!(
            sorted("InvalidParameterValue", "Value 900"),
            QueueError::Invalid(_)
        ));
    }

    #[test]
    fn throttling_and_the_unknown_may_be_tried_again() {
        assert!(matches!(
            sorted("RequestThrottled", ""),
            QueueError::Throttled { .. }
        ));
        assert_eq!(sorted("InternalFailure", "").nature(), Nature::Transient);
    }

    /// A missing permission or a disabled key may come back, so a caller that meets one waits.
    #[test]
    fn no_code_that_is_not_known_is_permanent() {
        for code in [
            "AccessDenied",
            "KmsDisabled",
            "KmsAccessDenied",
            "InvalidSecurity",
            "CodeOfNextYear",
            "",
        ] {
            assert!(!sorted(code, "").nature().is_permanent(), "{code}");
        }
        assert_eq!(sorted("QueueDoesNotExist", "").nature(), Nature::Unknown);
        assert!(sorted("InvalidMessageContents", "").nature().is_permanent());
    }
}
