//! A subscription that is switched off takes its instances' connections with it. Each
//! instance says so itself, so that a daemon has nothing more to read; what its owner wants
//! of it stays as it is.

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

/// How often it is tried where instances are deleted meanwhile.
const ATTEMPTS: usize = 8;

/// What came of suspending a subscription's instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspended {
    /// All of them are as wanted: these.
    Done(Vec<Instance>),
    /// The subscription is not (any more) what they were to follow: it is gone, or another
    /// request switched it meanwhile, and sees to them.
    Stale,
}

impl Instances {
    /// Suspends all instances of a subscription that is switched off, or ends that where it is
    /// on. Each write holds only while the subscription is so: of requests that switch it to
    /// and fro, the last one's word holds for all instances. Those that are so already cost
    /// nothing but their reads, so a request that was broken off is made good by the next.
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
