//! Answers and refusals as SQS words them.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use shared::queue::QueueError;

/// Why a call is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    /// The code in the JSON protocol.
    code: &'static str,
    /// The code in the query protocol before it, where that differs. Clients prefer it.
    older: &'static str,
    message: String,
}

/// What a receipt was given for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown {
    /// To delete the message.
    Delete,
    /// To change its visibility.
    Change,
    /// For nothing: the call takes no receipt.
    Nowhere,
}

impl Refusal {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::of("InvalidParameterValue", message)
    }

    fn of(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            older: code,
            message: message.into(),
        }
    }

    pub(crate) fn from_error(error: &QueueError, shown: Shown) -> Self {
        match error {
            QueueError::NoSuchQueue(queue) => Self {
                older: "AWS.SimpleQueueService.NonExistentQueue",
                ..Self::of(
                    "QueueDoesNotExist",
                    format!("The specified queue {queue} does not exist."),
                )
            },
            // These are SQS's words; it has no code of its own for either.
            QueueError::StaleReceipt => Self::invalid(match shown {
                Shown::Change => {
                    "Value for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available \
                     for visibility timeout change."
                }
                Shown::Delete | Shown::Nowhere => {
                    "Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
                }
            }),
            QueueError::TooLarge { .. } | QueueError::Invalid(_) => Self::invalid(error.to_string()),
            QueueError::Throttled { .. } => Self::of("RequestThrottled", error.to_string()),
            QueueError::Unavailable { .. } | QueueError::Timeout { .. } => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                ..Self::of("ServiceUnavailable", error.to_string())
            },
        }
    }

    /// The refusal of one entry of a batch.
    pub(crate) fn of_entry(self, id: &Value) -> Value {
        json!({
            "Id": id,
            "SenderFault": !self.status.is_server_error(),
            "Code": self.code,
            "Message": self.message,
        })
    }

    pub(crate) fn into_response(self) -> Response {
        let body = json!({"__type": format!("com.amazonaws.sqs#{}", self.code), "message": self.message});
        let side = if self.status.is_server_error() {
            "Receiver"
        } else {
            "Sender"
        };
        let headers = [
            (CONTENT_TYPE.as_str(), "application/x-amz-json-1.0".to_owned()),
            ("x-amzn-query-error", format!("{};{side}", self.older)),
        ];
        (self.status, headers, body.to_string()).into_response()
    }
}

pub(crate) fn success(answer: &Value) -> Response {
    let kind = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
    (kind, answer.to_string()).into_response()
}
