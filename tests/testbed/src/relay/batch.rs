//! A batch of reads that a table does not finish, as where it has no capacity for all of it.

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::call::Call;

/// What is left of a batch.
pub(crate) struct Left {
    /// As the table names it.
    keys: Value,
    /// Whether the table has something to read all the same.
    pub(crate) has_rest: bool,
}

impl Left {
    /// Takes the last key out of a call, if that is a batch of reads.
    pub(crate) fn of(call: &mut Call) -> Option<Self> {
        if call.operation != "BatchGetItem" {
            return None;
        }
        let mut asked: Value = serde_json::from_str(&call.body).ok()?;
        let (table, wanted) = asked["RequestItems"].as_object_mut()?.iter_mut().next()?;
        let keys = wanted["Keys"].as_array_mut()?;
        let last = keys.pop()?;
        let has_rest = !keys.is_empty();
        let mut left = wanted.clone();
        left["Keys"] = json!([last]);
        let keys = json!({ (table.clone()): left });
        call.body = asked.to_string();
        Some(Self { keys, has_rest })
    }

    /// The table's answer to the rest, if there was one, with what is left.
    pub(crate) async fn told_with(self, answer: Option<Response>) -> Response {
        let Some(answer) = answer else {
            let told = json!({"Responses": {}, "UnprocessedKeys": self.keys});
            let kind = [(CONTENT_TYPE, "application/x-amz-json-1.0")];
            return (kind, told.to_string()).into_response();
        };
        let (parts, body) = answer.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let mut told: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        told["UnprocessedKeys"] = self.keys;
        Response::from_parts(parts, Body::from(told.to_string()))
    }
}
