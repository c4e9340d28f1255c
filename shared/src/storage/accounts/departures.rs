//! Users who leave their subscription. Where the owner leaves, another user becomes the owner. The last user takes
//! the subscription along. Such a subscription is marked first: from then on nobody joins it and nothing is created
//! in it, so it can be emptied in as many steps as it takes.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, TransactWriteItem, Update};

use super::Accounts;
use super::items::user_from_item;
use super::plan::{ATTEMPTS, Aftermath, Plan, Step, Verdict};
use crate::domain::account::User;
use crate::ids::{SubscriptionId, UserId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{n, s, text};
use crate::storage::keys;
use crate::storage::outcome::Transacted;

/// What came of removing a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Done {
        /// Who it was.
        user: User,
        /// What became of its subscription.
        aftermath: Aftermath,
    },
    /// There is no such user.
    Gone,
    /// It is the last active administrator.
    LastAdministrator,
    /// It is the last user of a subscription that is not marked, or not empty yet.
    LastOfSubscription,
}

/// What came of marking a subscription whose last user is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It is switched off for ever.
    Done,
    /// It has other users, or is gone.
    NotLast,
    /// The user is the last active administrator.
    LastAdministrator,
}

impl Accounts {
    /// Removes a user: its address is free again, its sessions and codes lead nowhere.
    pub async fn delete_user(
        &self,
        subscription: SubscriptionId,
        id: UserId,
    ) -> Result<Removed, StorageError> {
        for _ in 0..ATTEMPTS {
            let Some(user) = self.get_user(subscription, id).await? else {
                return Ok(Removed::Gone);
            };
            let mut plan = Plan::new();
            plan.push(Step::Seen, self.deletion(&user)?);
            plan.push(Step::Seen, self.freed_address(&user)?);
            plan.push(Step::Administrators, self.administrators(Some(&user), None)?);
            plan.ends_marked = true;
            let aftermath = self.leave(&mut plan, &user).await?;
            match self.carry_out(plan).await? {
                Verdict::Done => return Ok(Removed::Done { user, aftermath }),
                Verdict::Outdated | Verdict::NoSubscription | Verdict::Uninvited => {}
                Verdict::LastAdministrator => return Ok(Removed::LastAdministrator),
                Verdict::InUse => return Ok(Removed::LastOfSubscription),
            }
        }
        Err(StorageError::Conflict("a user is changed over and over".into()))
    }

    /// Marks a subscription as being deleted, where `user` is its last one. May be done again.
    pub async fn begin_deletion(&self, user: &User) -> Result<Marked, StorageError> {
        let mark = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(user.subscription).attributes()))
            .update_expression("SET active = :no, deleting = :yes")
            .condition_expression("#owner = :user AND memberCount = :one")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":user", text(user.id))
            .expression_attribute_values(":one", n(1))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        let mut writes = vec![TransactWriteItem::builder().update(mark).build()];
        if user.is_active_administrator() {
            writes.push(self.another_administrator(user.id)?);
        }
        Ok(match self.table.transact(writes).await? {
            Transacted::Done => Marked::Done,
            Transacted::Refused(failed) if failed.first() == Some(&true) => Marked::NotLast,
            Transacted::Refused(_) => Marked::LastAdministrator,
        })
    }

    /// Plans what a user's leaving does to its subscription.
    pub(super) async fn leave(&self, plan: &mut Plan, user: &User) -> Result<Aftermath, StorageError> {
        let Some(subscription) = self.get_subscription(user.subscription).await? else {
            return Ok(Aftermath::Stays);
        };
        let aftermath = if subscription.owner == user.id {
            match self.oldest_other(user).await? {
                Some(heir) => Aftermath::PassedTo(heir.id),
                None => Aftermath::Deleted,
            }
        } else {
            Aftermath::Stays
        };
        plan.leaves = Some((subscription.id, aftermath));
        let key = Some(keys::subscription(subscription.id).attributes());
        let update = Update::builder()
            .table_name(self.table.name())
            .set_key(key.clone())
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":user", text(user.id));
        let refused = |error: aws_sdk_dynamodb::error::BuildError| StorageError::Refused(error.into());
        let write = TransactWriteItem::builder();
        let write = match aftermath {
            Aftermath::Stays => {
                let update = update
                    .update_expression("ADD memberCount :less")
                    .condition_expression("attribute_exists(pk) AND #owner <> :user")
                    .expression_attribute_values(":less", n(-1));
                write.update(update.build().map_err(refused)?)
            }
            Aftermath::PassedTo(heir) => {
                plan.push(Step::Seen, self.is_there(&keys::user(subscription.id, heir))?);
                let update = update
                    .update_expression("SET #owner = :heir ADD memberCount :less")
                    .condition_expression("#owner = :user")
                    .expression_attribute_values(":heir", text(heir))
                    .expression_attribute_values(":less", n(-1));
                write.update(update.build().map_err(refused)?)
            }
            Aftermath::Deleted => {
                // Both counts are on the item, so nobody joins and nothing is created meanwhile.
                let mut condition = "#owner = :user AND memberCount = :one \
                    AND (attribute_not_exists(instanceCount) OR instanceCount = :none)"
                    .to_owned();
                if plan.ends_marked {
                    condition.push_str(" AND attribute_exists(deleting)");
                }
                let delete = Delete::builder()
                    .table_name(self.table.name())
                    .set_key(key)
                    .condition_expression(condition)
                    .expression_attribute_names("#owner", "owner")
                    .expression_attribute_values(":user", text(user.id))
                    .expression_attribute_values(":one", n(1))
                    .expression_attribute_values(":none", n(0));
                write.delete(delete.build().map_err(refused)?)
            }
        };
        plan.push(Step::Leave, write.build());
        Ok(aftermath)
    }

    /// The subscription's oldest user besides this one.
    async fn oldest_other(&self, user: &User) -> Result<Option<User>, StorageError> {
        let page = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", s(keys::subscription(user.subscription).pk))
            .expression_attribute_values(":prefix", s(keys::USER_PREFIX))
            .consistent_read(true)
            .limit(2)
            .send()
            .await
            .map_err(classify)?;
        for item in page.items() {
            let other = user_from_item(item)?;
            if other.id != user.id {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// The deletion of a user who is as it was read.
    pub(super) fn deletion(&self, user: &User) -> Result<TransactWriteItem, StorageError> {
        let (condition, names, values) = super::items::unchanged(user);
        let delete = Delete::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::user(user.subscription, user.id).attributes()))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    fn freed_address(&self, user: &User) -> Result<TransactWriteItem, StorageError> {
        let delete = Delete::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::email(&user.email).attributes()))
            .condition_expression("#user = :user")
            .expression_attribute_names("#user", "user")
            .expression_attribute_values(":user", text(user.id))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    fn is_there(&self, key: &keys::Key) -> Result<TransactWriteItem, StorageError> {
        let check = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(key.attributes()))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}
