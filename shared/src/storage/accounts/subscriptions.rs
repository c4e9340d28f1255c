//! Subscriptions as administrators see and change them.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::Accounts;
use super::items::subscription_from_item;
use crate::domain::account::{Subscription, Tier};
use crate::ids::SubscriptionId;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Reader, n, text};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

/// What is to be different of a subscription; what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// Its tier.
    pub tier: Option<Tier>,
    /// Whether it may be used.
    pub active: Option<bool>,
}

/// What came of changing a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionChanged {
    /// It is as wanted.
    Done(Subscription),
    /// It has more instances than the tier allows.
    InUse {
        /// How many.
        instances: u32,
    },
    /// It is being deleted, for good.
    BeingDeleted,
    /// It is gone.
    Gone,
}

impl Accounts {
    /// Up to `limit` subscriptions, newest first, that were created before `before`. For
    /// administrators.
    pub async fn list_subscriptions(
        &self,
        before: Option<SubscriptionId>,
        limit: u32,
    ) -> Result<Vec<Subscription>, StorageError> {
        let items = self
            .table
            .list_page(keys::list::SUBSCRIPTIONS, before.map(|id| id.to_string()), limit)
            .await?;
        items.iter().map(subscription_from_item).collect()
    }

    /// How many instances a subscription has.
    pub async fn instances_in_use(&self, id: SubscriptionId) -> Result<u32, StorageError> {
        let found = self.table.get(&keys::subscription(id)).await?;
        match &found {
            Some(item) => Ok(Reader::new("subscription", item)
                .opt_number("instanceCount")?
                .unwrap_or(0)),
            None => Ok(0),
        }
    }

    /// Changes a subscription, where its instances fit the tier. Their number is on the same item, and so is the new
    /// limit. A request that still knows a higher limit creates nothing beyond the new one, so the rule holds while
    /// instances are created.
    pub async fn update_subscription(
        &self,
        id: SubscriptionId,
        change: SubscriptionChange,
    ) -> Result<SubscriptionChanged, StorageError> {
        let mut request = self
            .table
            .update(&keys::subscription(id))
            .return_values(ReturnValue::AllNew);
        let mut assignments = Vec::new();
        let mut condition = "attribute_exists(pk) AND attribute_not_exists(deleting)".to_owned();
        if let Some(tier) = change.tier {
            assignments.push("tier = :tier, instanceLimit = :limit");
            condition += " AND (attribute_not_exists(instanceCount) OR instanceCount <= :limit)";
            request = request
                .expression_attribute_values(":tier", text(tier))
                .expression_attribute_values(":limit", n(tier.instances()));
        }
        if let Some(active) = change.active {
            assignments.push("active = :active");
            request = request.expression_attribute_values(":active", AttributeValue::Bool(active));
        }
        if assignments.is_empty() {
            let found = self.get_subscription(id).await?;
            return Ok(found.map_or(SubscriptionChanged::Gone, SubscriptionChanged::Done));
        }
        let sent = request
            .update_expression(format!("SET {}", assignments.join(", ")))
            .condition_expression(condition)
            .send()
            .await;
        match sent {
            Ok(output) => {
                let item = output.attributes.unwrap_or_default();
                subscription_from_item(&item).map(SubscriptionChanged::Done)
            }
            Err(error) if condition_failed(&error) => {
                let Some(item) = self.table.get(&keys::subscription(id)).await? else {
                    return Ok(SubscriptionChanged::Gone);
                };
                let read = Reader::new("subscription", &item);
                if read.flag("deleting")? {
                    return Ok(SubscriptionChanged::BeingDeleted);
                }
                let instances = read.opt_number("instanceCount")?.unwrap_or(0);
                Ok(SubscriptionChanged::InUse { instances })
            }
            Err(error) => Err(classify(error)),
        }
    }
}
