//! Suspension. When a subscription is switched off, its instances disconnect. Each instance's item is marked, so that
//! a daemon reads no subscriptions. What the instance's owner wants stays as it is.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem, Update};

use super::Instances;
use crate::domain::instance::{Instance, Wanted};
use crate::ids::SubscriptionId;
use crate::storage::error::StorageError;
use crate::storage::item::text;
use crate::storage::keys;
use crate::storage::outcome::Transacted;

/// The most instances that are changed at once; a transaction takes a hundred writes.
const MOST: usize = 50;

/// How often the change is tried when instances are deleted meanwhile.
const ATTEMPTS: usize = 8;

/// What came of suspending a subscription's instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspended {
    /// All of them are as wanted.
    Done(Vec<Instance>),
    /// The subscription is gone, or another request has switched it meanwhile and sees to the instances.
    Stale,
}

impl Instances {
    /// Suspends all instances of a subscription that is switched off, or ends their suspension where it is on. Each
    /// write is conditional on the subscription's state: of requests that switch it to and fro, the last one decides
    /// for all instances. An instance that is as wanted costs only its read, so the next request completes one that
    /// was broken off.
    pub async fn suspend(&self, id: SubscriptionId, suspended: bool) -> Result<Suspended, StorageError> {
        for _ in 0..ATTEMPTS {
            let instances = self.list_all(id).await?;
            let others: Vec<_> = instances
                .iter()
                .filter(|instance| instance.suspended != suspended)
                .collect();
            let mut is_stale = false;
            for some in others.chunks(MOST) {
                match self.table.transact(self.suspending(id, some, suspended)?).await? {
                    Transacted::Done => {}
                    Transacted::Refused(failed) if failed.first() == Some(&true) => {
                        return Ok(Suspended::Stale);
                    }
                    // One of them was deleted.
                    Transacted::Refused(_) => is_stale = true,
                }
            }
            if !is_stale {
                return Ok(Suspended::Done(instances));
            }
        }
        Err(StorageError::Conflict(
            "instances are deleted over and over".into(),
        ))
    }

    fn suspending(
        &self,
        id: SubscriptionId,
        instances: &[&Instance],
        suspended: bool,
    ) -> Result<Vec<TransactWriteItem>, StorageError> {
        let refused = |error: BuildError| StorageError::Refused(error.into());
        let check = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(id).attributes()))
            .condition_expression("active = :active")
            .expression_attribute_values(":active", AttributeValue::Bool(!suspended))
            .build()
            .map_err(refused)?;
        let mut writes = vec![TransactWriteItem::builder().condition_check(check).build()];
        for instance in instances {
            let update = Update::builder()
                .table_name(self.table.name())
                .set_key(Some(keys::instance(instance.id).attributes()))
                .update_expression("SET suspended = :suspended")
                .condition_expression("attribute_exists(pk) AND wanted <> :deleted")
                .expression_attribute_values(":suspended", AttributeValue::Bool(suspended))
                .expression_attribute_values(":deleted", text(Wanted::Deleted))
                .build()
                .map_err(refused)?;
            writes.push(TransactWriteItem::builder().update(update).build());
        }
        Ok(writes)
    }
}
