//! The end of an instance. A function deletes it, and from then on no function finds it. The daemon that holds its
//! shard removes what it leaves and reduces it to a tombstone.

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{Delete, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use chrono::{DateTime, TimeDelta, Utc};

use super::stored::from_item;
use super::{Instances, Observation};
use crate::domain::instance::{Instance, Wanted};
use crate::ids::InstanceId;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{n, seconds, text, time};
use crate::storage::keys;
use crate::storage::outcome::Transacted;

/// How long a tombstone stays: longer than a job may wait to be sent.
const TOMBSTONE_TERM: TimeDelta = TimeDelta::days(31);

/// What came of deleting an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// Nobody finds it any more.
    Done,
    /// It is gone already, or was given another name since it was read.
    Stale,
}

impl Instances {
    /// Deletes an instance as it was read, and frees its name and its place in the subscription. One transaction.
    pub async fn delete(&self, instance: &Instance, now: DateTime<Utc>) -> Result<Deleted, StorageError> {
        let refused = |error: BuildError| StorageError::Refused(error.into());
        let deleted = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(instance.id).attributes()))
            .update_expression(
                "SET wanted = :deleted, deletedAt = :now, unlinkAskedAt = :now, generation = generation + :one",
            )
            .condition_expression("subscription = :subscription AND #name = :name AND wanted <> :deleted")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":deleted", text(Wanted::Deleted))
            .expression_attribute_values(":now", time(now))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":subscription", text(instance.subscription))
            .expression_attribute_values(":name", text(&instance.name))
            .build()
            .map_err(refused)?;
        let count = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(instance.subscription).attributes()))
            .update_expression("ADD instanceCount :less")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":less", n(-1))
            .build()
            .map_err(refused)?;
        let mut writes = vec![
            TransactWriteItem::builder().update(deleted).build(),
            TransactWriteItem::builder().update(count).build(),
        ];
        for key in [
            keys::instance_reference(instance.subscription, instance.id),
            keys::instance_name(instance.subscription, &instance.name),
        ] {
            let delete = Delete::builder()
                .table_name(self.table.name())
                .set_key(Some(key.attributes()))
                .build()
                .map_err(refused)?;
            writes.push(TransactWriteItem::builder().delete(delete).build());
        }
        Ok(match self.table.transact(writes).await? {
            Transacted::Done => Deleted::Done,
            Transacted::Refused(_) => Deleted::Stale,
        })
    }

    /// An instance, or what is left of a deleted one: for the daemon, which has to end it.
    /// `None` for a tombstone.
    pub async fn get_with_deleted(&self, id: InstanceId) -> Result<Option<Instance>, StorageError> {
        let found = self.table.get(&keys::instance(id)).await?;
        // A tombstone has no id.
        let found = found.filter(|item| item.contains_key("id"));
        found.as_ref().map(from_item).transpose()
    }

    /// Removes what a deleted instance leaves: messages, the directory of people, answers, counters, data keys, and
    /// whatever else is in its partition. Its item and its session state stay. May be broken off and done again.
    pub async fn purge(&self, id: InstanceId) -> Result<(), StorageError> {
        self.purge_content(id).await?;
        self.table.purge(&keys::data_key_partition(id), "").await?;
        let own = keys::instance(id);
        self.table.purge(&own.pk, &own.sk).await
    }

    /// Removes its messages, what it keeps of them, its webhook, and its counters only, where its session is needed for a while yet.
    pub async fn purge_content(&self, id: InstanceId) -> Result<(), StorageError> {
        self.table.purge(&keys::message_partition(id), "").await?;
        self.table.purge(&keys::people_partition(id), "").await?;
        self.table.purge(&keys::book_partition(id), "").await?;
        self.table.purge(&keys::read_partition(id), "").await?;
        self.table.purge(&keys::receipt_partition(id), "").await?;
        self.table.purge(&keys::answer_partition(id), "").await?;
        self.table.purge(&keys::media_partition(id), "").await?;
        self.table.purge(&keys::kept_partition(id), "").await?;
        self.table.purge(&keys::webhook(id).pk, "").await?;
        self.table.purge(&keys::delivery_partition(id), "").await?;
        self.table.purge(&keys::counter_partition(id), "").await
    }

    /// Reduces a deleted instance to a tombstone, as the owner with lease `token`. The tombstone is in no shard's
    /// index.
    pub async fn bury(
        &self,
        id: InstanceId,
        token: u64,
        now: DateTime<Utc>,
    ) -> Result<Observation, StorageError> {
        let mut tombstone = keys::instance(id).attributes();
        tombstone.insert("wanted".into(), text(Wanted::Deleted));
        tombstone.insert("fence".into(), n(token));
        tombstone.insert("deletedAt".into(), time(now));
        tombstone.insert("exp".into(), seconds(now + TOMBSTONE_TERM));
        let sent = self
            .table
            .put(tombstone)
            .condition_expression("wanted = :deleted AND (attribute_not_exists(fence) OR fence <= :fence)")
            .expression_attribute_values(":deleted", text(Wanted::Deleted))
            .expression_attribute_values(":fence", n(token))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Observation::Stored),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                let item = match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(failed)) => failed.item.as_ref(),
                    _ => None,
                };
                Ok(match item.filter(|item| !item.is_empty()) {
                    Some(_) => Observation::Fenced,
                    None => Observation::Gone,
                })
            }
            Err(error) => Err(classify(error)),
        }
    }
}
