//! Taking back a message that was not accepted after all, before any daemon sends it.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::counted::{self, Counted};
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
    /// It has gone out, or another request goes by the count of this one.
    TooLate,
    /// The record is another request's, which has counted the message too.
    OfAnother,
}

impl Messages {
    /// Stores that the message of this record has failed, where it was not sent; the record may not exist yet. A
    /// daemon that receives the message's job reads that first. Where other requests may come under the same idempotency key,
    /// only the record of the very request is changed ([`MessageRecord::counted_by`]), and only while no other goes by it. One
    /// write unit.
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
        // Of the second: done before, and the answer lost.
        let unsent = "(#rank <= :queued OR errorCode = :code)";
        let mut request = self
            .table
            .put(item)
            .expression_attribute_names("#rank", "rank")
            .expression_attribute_values(":queued", n(State::Queued.rank()))
            .expression_attribute_values(":code", s(&failure.code))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let condition = match record.counted_by {
            None => format!("attribute_not_exists(pk) OR {unsent}"),
            Some(by) => {
                request = request
                    .expression_attribute_names("#by", counted::BY)
                    .expression_attribute_names("#shared", counted::SHARED)
                    .expression_attribute_values(":by", text(by));
                format!(
                    "attribute_not_exists(pk) OR #by = :by AND attribute_not_exists(#shared) AND {unsent}"
                )
            }
        };
        let error = match request.condition_expression(condition).send().await {
            Ok(_) => return Ok(Withdrawn::Done),
            Err(error) if condition_failed(&error) => error.into_service_error(),
            Err(error) => return Err(classify(error)),
        };
        let found = match error {
            PutItemError::ConditionalCheckFailedException(failed) => failed.item.unwrap_or_default(),
            _ => return Ok(Withdrawn::TooLate),
        };
        Ok(match Counted::says(&found, record)? {
            Counted::ByThis => Withdrawn::TooLate,
            Counted::ByAnother => Withdrawn::OfAnother,
        })
    }
}
