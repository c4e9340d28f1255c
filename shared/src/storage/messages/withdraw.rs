//! Taking back a message that was not accepted after all, before any daemon sends it.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Messages, to_item};
use crate::domain::message::{Failure, MessageRecord, State};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{n, s, text};
use crate::storage::outcome::condition_failed;

/// What came of taking a message back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawn {
    /// Its record says that it failed. If it has a job, that is not sent.
    Done,
    /// It has gone out.
    TooLate,
}

impl Messages {
    /// Stores that the message of this record has failed, where it was not sent; the record may not exist yet. A
    /// daemon that receives the message's job reads that first. One write unit.
    pub async fn withdraw(
        &self,
        record: &MessageRecord,
        failure: &Failure,
    ) -> Result<Withdrawn, StorageError> {
        let mut item = to_item(record);
        for (name, value) in [
            ("state", text(State::Failed)),
            ("rank", n(State::Failed.rank())),
            ("errorCode", s(&failure.code)),
            ("errorMessage", s(&failure.message)),
            ("errorRetryable", AttributeValue::Bool(failure.retryable)),
        ] {
            item.insert(name.to_owned(), value);
        }
        let sent = self
            .table
            .put(item)
            .condition_expression("attribute_not_exists(pk) OR #rank <= :queued OR errorCode = :code")
            .expression_attribute_names("#rank", "rank")
            .expression_attribute_values(":queued", n(State::Queued.rank()))
            // Done before, and the answer lost.
            .expression_attribute_values(":code", s(&failure.code))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Withdrawn::Done),
            Err(error) if condition_failed(&error) => Ok(Withdrawn::TooLate),
            Err(error) => Err(classify(error)),
        }
    }
}
