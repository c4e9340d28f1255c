//! Which message takes another one back: one of them, however often that is asked for.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::Messages;
use crate::ids::{InstanceId, MessageId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Reader, text};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

/// What came of marking a message as taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It is marked, now or by the same revoke before.
    Done,
    /// Another revoke takes it back.
    By(MessageId),
    /// There is no such message.
    Missing,
}

impl Messages {
    /// Marks a message as taken back by the revoke `by`, where no other revoke takes it back but `instead_of`, which came to
    /// nothing. Done twice it does no harm. One write unit.
    pub async fn mark_revoked(
        &self,
        instance: InstanceId,
        id: MessageId,
        by: MessageId,
        instead_of: Option<MessageId>,
    ) -> Result<Marked, StorageError> {
        let sent = self
            .table
            .update(&keys::message(instance, id))
            .update_expression("SET revokedBy = :by")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(revokedBy) OR revokedBy IN (:by, :old))",
            )
            .expression_attribute_values(":by", text(by))
            .expression_attribute_values(":old", text(instead_of.unwrap_or(by)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Marked::Done),
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let found = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.clone(),
            _ => None,
        };
        let found = found.unwrap_or_default();
        let other = Reader::new("message", &found).opt_parse("revokedBy")?;
        Ok(other.map_or(Marked::Missing, Marked::By))
    }
}
