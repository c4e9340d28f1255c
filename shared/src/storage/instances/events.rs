//! Which events of an instance somebody wants, and what of them waits to be told.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Instances;
use crate::domain::event::{Untold, Wants};
use crate::domain::instance::Wanted;
use crate::ids::{InstanceId, SubscriptionId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{n, text, texts};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

impl Instances {
    /// Stores which events of an instance of this subscription are wanted from now on; `false` where there is no such
    /// instance. Its daemon learns it from a nudge, or within a minute. One write unit for each KiB of the instance.
    pub async fn want_events(
        &self,
        subscription: SubscriptionId,
        id: InstanceId,
        wants: &Wants,
    ) -> Result<bool, StorageError> {
        let sent = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(id).attributes()))
            .update_expression("SET wants = :wants")
            .condition_expression("subscription = :subscription AND wanted <> :deleted")
            .expression_attribute_values(":wants", texts(wants.names()))
            .expression_attribute_values(":subscription", text(subscription))
            .expression_attribute_values(":deleted", text(Wanted::Deleted))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if condition_failed(&error) => Ok(false),
            Err(error) => Err(classify(error)),
        }
    }

    /// Stores that what waited is told, as the owner with lease `token`; `left` is what still waits. Nothing is done where
    /// something else waits by now, or a newer owner has written. One write unit for each KiB of the instance.
    pub async fn told(
        &self,
        id: InstanceId,
        token: u64,
        untold: &Untold,
        left: &Untold,
    ) -> Result<(), StorageError> {
        let list = |untold: &Untold| texts(untold.texts().iter().cloned());
        let mut request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(id).attributes()))
            .condition_expression("untold = :untold AND fence <= :fence")
            .expression_attribute_values(":untold", list(untold))
            .expression_attribute_values(":fence", n(token));
        request = if left.is_empty() {
            request.update_expression("REMOVE untold")
        } else {
            request
                .update_expression("SET untold = :left")
                .expression_attribute_values(":left", list(left))
        };
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error) => Ok(()),
            Err(error) => Err(classify(error)),
        }
    }
}

/// What waits, as an attribute; `None` where nothing does.
pub(super) fn waiting(untold: &Untold) -> Option<AttributeValue> {
    (!untold.is_empty()).then(|| texts(untold.texts().iter().cloned()))
}
