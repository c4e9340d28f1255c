//! Subscriptions as administrators see and change them.

use aws_sdk_dynamodb::types::AttributeValue;

use super::items::subscription_from_item;
use super::{Accounts, Changed, changed};
use crate::domain::account::{Subscription, Tier};
use crate::ids::SubscriptionId;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Reader, n, text};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

/// What came of giving a subscription another tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierChange {
    /// It has it.
    Done,
    /// It has more instances than the tier allows.
    InUse,
    /// It is gone.
    Gone,
}

impl Accounts {
    /// Up to `limit` subscriptions, newest first, that were created before `before`. For
    /// administrators.
    pub async fn subscriptions(
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

    /// Gives a subscription another tier, where what it has in use fits. The count of its
    /// instances is on the same item, so the rule holds while instances are created.
    pub async fn set_tier(&self, id: SubscriptionId, tier: Tier) -> Result<TierChange, StorageError> {
        let sent = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(id).attributes()))
            .update_expression("SET tier = :tier")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(instanceCount) OR instanceCount <= :limit)",
            )
            .expression_attribute_values(":tier", text(tier))
            .expression_attribute_values(":limit", n(tier.instances()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(TierChange::Done),
            Err(error) if condition_failed(&error) => {
                let there = self.table.get(&keys::subscription(id)).await?;
                Ok(if there.is_some() {
                    TierChange::InUse
                } else {
                    TierChange::Gone
                })
            }
            Err(error) => Err(classify(error)),
        }
    }

    /// Switches a subscription on or off.
    pub async fn set_active(&self, id: SubscriptionId, active: bool) -> Result<Changed, StorageError> {
        let request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(id).attributes()))
            .update_expression("SET active = :active")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":active", AttributeValue::Bool(active));
        changed(request.send().await)
    }

    /// Removes a subscription that has neither users nor instances any more.
    pub async fn remove_subscription(&self, id: SubscriptionId) -> Result<Changed, StorageError> {
        let request = self
            .table
            .client()
            .delete_item()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(id).attributes()))
            .condition_expression("attribute_exists(pk)");
        changed(request.send().await)
    }
}
