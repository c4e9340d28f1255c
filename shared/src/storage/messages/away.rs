//! Messages that are put off: they wait, and their jobs are in the due index instead of their queue. The record says where
//! the job is, so that whoever takes the message back reaches it, and so that each going and coming is counted once.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};

use super::{Messages, from_item};
use crate::domain::message::{MessageRecord, State};
use crate::ids::{InstanceId, MessageId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Item, Reader, n, time};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

/// What came of noting that a message goes to the due index, or comes from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Away {
    /// It is noted.
    Done {
        /// Until when the message was put off before, if it was.
        before: Option<DateTime<Utc>>,
    },
    /// The message does not wait any more, or not until this time: its record as it stands.
    Past(Box<MessageRecord>),
    /// The same, of a record that this version cannot read as a whole.
    Unreadable,
    /// There is no such record, or it has run out.
    Missing,
}

impl Messages {
    /// Notes that a message is put off until `at`, where it still waits. One write unit.
    pub async fn put_away(
        &self,
        instance: InstanceId,
        id: MessageId,
        at: DateTime<Utc>,
    ) -> Result<Away, StorageError> {
        self.while_it_waits(instance, id, at, "SET putOffAt = :at", "")
            .await
    }

    /// Notes that a message which was put off until `at` is not any more, where it still waits, and was not put off
    /// until another time since. One write unit.
    pub async fn bring_back(
        &self,
        instance: InstanceId,
        id: MessageId,
        at: DateTime<Utc>,
    ) -> Result<Away, StorageError> {
        let unless_later = " AND (attribute_not_exists(putOffAt) OR putOffAt = :at)";
        self.while_it_waits(instance, id, at, "REMOVE putOffAt", unless_later)
            .await
    }

    /// Changes when a message that waits comes back. `condition` is what else must hold.
    async fn while_it_waits(
        &self,
        instance: InstanceId,
        id: MessageId,
        at: DateTime<Utc>,
        update: &str,
        condition: &str,
    ) -> Result<Away, StorageError> {
        let sent = self
            .table
            .update(&keys::message(instance, id))
            .update_expression(update)
            .condition_expression(format!("attribute_exists(pk) AND #rank <= :queued{condition}"))
            .expression_attribute_names("#rank", "rank")
            .expression_attribute_values(":queued", n(State::Queued.rank()))
            .expression_attribute_values(":at", time(at))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(updated) => {
                let old = updated.attributes.unwrap_or_default();
                let before = Reader::new("message", &old).opt_time("putOffAt")?;
                return Ok(Away::Done { before });
            }
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let found: Option<&Item> = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.as_ref(),
            _ => None,
        };
        let Some(found) = found.filter(|item| !item.is_empty()) else {
            return Ok(Away::Missing);
        };
        Ok(from_item(found).map_or(Away::Unreadable, |record| Away::Past(Box::new(record))))
    }
}
