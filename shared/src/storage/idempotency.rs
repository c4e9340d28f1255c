//! Idempotency keys: the first request with a key fixes its body and its message's id.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::error::{StorageError, classify};
use super::item::{Reader, n, s, seconds, text};
use super::keys;
use super::outcome::condition_failed;
use super::table::Table;
use crate::ids::{InstanceId, MessageId};

/// How long a key is kept.
pub const TERM: TimeDelta = TimeDelta::hours(24);

/// What came of claiming a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The key is new: go on with the id that was offered.
    New,
    /// The key came before with the same body, and this is its message: go on with it, or
    /// answer for it.
    Known(MessageId),
    /// The key came before with another body.
    OtherBody,
}

/// The idempotency keys of the table.
#[derive(Debug, Clone)]
pub struct IdempotencyKeys {
    table: Table,
}

impl IdempotencyKeys {
    /// The keys of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The message of the request that came with this key before. One read unit.
    pub async fn find(
        &self,
        instance: InstanceId,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<MessageId>, StorageError> {
        let key = keys::idempotency(instance, &hex::encode(Sha256::digest(key)));
        let Some(item) = self.table.get(&key).await? else {
            return Ok(None);
        };
        let read = Reader::new("idempotency key", &item);
        let is_over = read.number::<i64>("exp")? <= now.timestamp();
        (!is_over).then(|| read.parse("message")).transpose()
    }

    /// Claims a key for a request body. One write unit.
    pub async fn claim(
        &self,
        instance: InstanceId,
        key: &str,
        body: &[u8],
        offered: MessageId,
        now: DateTime<Utc>,
    ) -> Result<Claim, StorageError> {
        let body = hex::encode(Sha256::digest(body));
        let mut item = keys::idempotency(instance, &hex::encode(Sha256::digest(key))).attributes();
        item.insert("body".into(), s(&body));
        item.insert("message".into(), text(offered));
        item.insert("exp".into(), seconds(now + TERM));
        let sent = self
            .table
            .client()
            .put_item()
            .table_name(self.table.name())
            .set_item(Some(item))
            // What has run out may still be there: expiry removes items some time after.
            .condition_expression("attribute_not_exists(pk) OR exp <= :now")
            .expression_attribute_values(":now", n(now.timestamp()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Claim::New),
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(classify(error));
        };
        let item = failed.item.clone().unwrap_or_default();
        let read = Reader::new("idempotency key", &item);
        if read.str("body")? == body {
            Ok(Claim::Known(read.parse("message")?))
        } else {
            Ok(Claim::OtherBody)
        }
    }
}
