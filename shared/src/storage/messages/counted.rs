//! Which request has counted a message against its quota. Several may be at work with one message: they came under one
//! idempotency key, and each counts before it stores the record. The record says whose count stands for the message.
//!
//! A request that finds another's record first marks it as shared, and then gives its own count back. The other one cannot take
//! the message back from there on, and keeps its count. So of all counts one stays, whichever request ends first. One that ends in
//! between leaves one too many.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::{Messages, to_item};
use crate::domain::message::{FailureCode, MessageRecord};
use crate::ids::{InstanceId, MessageId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Item, Reader, text};
use crate::storage::keys;
use crate::storage::outcome::{condition_failed, held};

/// The attribute that names the request.
pub(super) const BY: &str = "countedBy";

/// The attribute that says that another request goes by it.
pub(super) const SHARED: &str = "shared";

/// Whose count stands for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// That of the request which stores the record. So it is too where the record does not say: one of an older build does not,
    /// nor does one that an older daemon has made of the request's job.
    ByThis,
    /// That of another request under the same idempotency key.
    ByAnother,
}

impl Counted {
    /// What a record that is there says to a request which has counted its message.
    pub(super) fn says(found: &Item, record: &MessageRecord) -> Result<Self, StorageError> {
        let by = Reader::new("message", found).opt_parse(BY)?;
        let is_anothers = by.is_some() && by != record.counted_by;
        Ok(if is_anothers {
            Self::ByAnother
        } else {
            Self::ByThis
        })
    }
}

impl Messages {
    /// Puts the record of a message that its request has counted, where there is none of its id. One write unit.
    pub async fn put_counted(&self, record: &MessageRecord) -> Result<Counted, StorageError> {
        match self.put_or_find(record).await? {
            None => Ok(Counted::ByThis),
            Some(found) => Counted::says(&found, record),
        }
    }

    /// Has another request than the one that counted a message go by its record. `false` where that one has taken the message
    /// back, or the record is gone. Done twice it does no harm. One write unit.
    pub async fn share(&self, instance: InstanceId, id: MessageId) -> Result<bool, StorageError> {
        let request = self
            .table
            .update(&keys::message(instance, id))
            .update_expression("SET #shared = :yes")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(errorCode) OR errorCode <> :notAccepted)",
            )
            .expression_attribute_names("#shared", SHARED)
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":notAccepted", text(FailureCode::NotAccepted));
        held(request.send().await)
    }

    /// Puts a record where there is none of its id. Answers the item that is there otherwise.
    pub(super) async fn put_or_find(&self, record: &MessageRecord) -> Result<Option<Item>, StorageError> {
        let sent = self
            .table
            .put(to_item(record))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(None),
            Err(error) if condition_failed(&error) => Ok(Some(match error.into_service_error() {
                PutItemError::ConditionalCheckFailedException(failed) => failed.item.unwrap_or_default(),
                _ => Item::default(),
            })),
            Err(error) => Err(classify(error)),
        }
    }
}
