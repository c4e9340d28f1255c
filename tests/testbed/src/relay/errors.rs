//! How the services word their errors.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::call::Call;

/// The service behind the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    DynamoDb,
    Sqs,
    Kms,
    /// An unknown one, whose errors read like DynamoDB's.
    Other,
}

impl Service {
    /// By a request's `X-Amz-Target`.
    pub(crate) fn of(target: &str) -> Self {
        match target.split('.').next().unwrap_or_default() {
            "DynamoDB_20120810" => Self::DynamoDb,
            "AmazonSQS" => Self::Sqs,
            "TrentService" => Self::Kms,
            _ => Self::Other,
        }
    }

    pub(crate) fn throttled(self) -> Response {
        match self {
            Self::DynamoDb | Self::Other => {
                self.error(400, "ProvisionedThroughputExceededException", json!({}))
            }
            Self::Sqs => self.error(400, "RequestThrottled", json!({})),
            Self::Kms => self.error(400, "ThrottlingException", json!({})),
        }
    }

    pub(crate) fn failed(self) -> Response {
        match self {
            Self::DynamoDb | Self::Other => self.error(500, "InternalServerError", json!({})),
            Self::Sqs => self.error(500, "InternalFailure", json!({})),
            Self::Kms => self.error(500, "KMSInternalException", json!({})),
        }
    }

    /// Another transaction has the item that a call would write; `None` where no service says so.
    pub(crate) fn conflict(self, call: &Call) -> Option<Response> {
        if self != Self::DynamoDb || call.is_read() {
            return None;
        }
        if call.operation != "TransactWriteItems" {
            return Some(self.error(400, "TransactionConflictException", json!({})));
        }
        let asked: Value = serde_json::from_str(&call.body).unwrap_or_default();
        let items = asked["TransactItems"].as_array().map_or(1, Vec::len);
        let mut reasons = vec![json!({"Code": "None"}); items];
        reasons[0] = json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"});
        let more = json!({"CancellationReasons": reasons});
        Some(self.error(400, "TransactionCanceledException", more))
    }

    /// All of a batch is left; `None` where the call is no batch.
    pub(crate) fn left(self, call: &Call) -> Option<Response> {
        let left = match (self, call.operation.as_str()) {
            (Self::DynamoDb, "BatchGetItem") => "UnprocessedKeys",
            (Self::DynamoDb, "BatchWriteItem") => "UnprocessedItems",
            _ => return None,
        };
        let asked: Value = serde_json::from_str(&call.body).unwrap_or_default();
        let kind = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
        let said = json!({left: asked["RequestItems"]}).to_string();
        Some((StatusCode::OK, kind, said).into_response())
    }

    pub(crate) fn error(self, status: u16, code: &str, mut more: Value) -> Response {
        let shape = match self {
            Self::DynamoDb | Self::Other => format!("com.amazonaws.dynamodb.v20120810#{code}"),
            Self::Sqs => format!("com.amazonaws.sqs#{code}"),
            Self::Kms => code.to_owned(),
        };
        more["__type"] = json!(shape);
        more["message"] = json!("a fault of the test's");
        let status = StatusCode::from_u16(status).expect("a status");
        let kind = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
        let mut response = (status, kind, more.to_string()).into_response();
        if self == Self::Sqs {
            // SQS names an error by its older protocol's code too, and clients prefer that.
            let side = if status.is_server_error() {
                "Receiver"
            } else {
                "Sender"
            };
            let both = format!("{code};{side}");
            if let Ok(value) = both.parse() {
                response.headers_mut().insert("x-amzn-query-error", value);
            }
        }
        response
    }
}

/// What a load balancer answers when the service behind it does not.
pub(crate) fn garbled() -> Response {
    let page = "<html><body><h1>500 Internal Server Error</h1></body></html>";
    let kind = [(CONTENT_TYPE, "text/html")];
    (StatusCode::INTERNAL_SERVER_ERROR, kind, page).into_response()
}

/// An answer that says nothing.
pub(crate) fn empty() -> Response {
    let kind = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
    (StatusCode::OK, kind, "{}").into_response()
}
