//! Users beyond a subscription's first: created, listed, moved and removed.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, TransactWriteItem};

use super::items::{user_from_item, user_to_item};
use super::{Accounts, Changed, email_item, with_password};
use crate::auth::password::PasswordHash;
use crate::domain::account::User;
use crate::ids::{SubscriptionId, UserId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{n, s, text};
use crate::storage::keys;
use crate::storage::outcome::Transacted;
use crate::storage::table::LIST_INDEX;

/// What came of adding a user to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is there.
    Created,
    /// Another user has the e-mail address.
    EmailTaken,
    /// The subscription is gone.
    SubscriptionGone,
}

impl Accounts {
    /// Creates a user of a subscription that is there. Without a password nobody can log in
    /// as that user until one is set.
    pub async fn add(&self, user: &User, password: Option<&PasswordHash>) -> Result<Added, StorageError> {
        let writes = vec![
            self.subscription_exists(user.subscription)?,
            self.put(email_item(user))?,
            self.put(with_password(user_to_item(user), password))?,
        ];
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(Added::Created),
            Transacted::Refused(failed) if failed.first() == Some(&true) => Ok(Added::SubscriptionGone),
            Transacted::Refused(failed) if failed.get(1) == Some(&true) => Ok(Added::EmailTaken),
            Transacted::Refused(_) => Err(StorageError::Conflict("a new id is taken".into())),
        }
    }

    /// The users of a subscription, oldest first.
    pub async fn members(&self, subscription: SubscriptionId) -> Result<Vec<User>, StorageError> {
        let items = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", s(keys::subscription(subscription).pk))
            .expression_attribute_values(":prefix", s(keys::USER_PREFIX))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(classify)?;
        items.iter().map(user_from_item).collect()
    }

    /// Up to `limit` users of all subscriptions, newest first, that were created before
    /// `before`. For administrators.
    pub async fn users(&self, before: Option<UserId>, limit: u32) -> Result<Vec<User>, StorageError> {
        let items = self
            .table
            .list_page(keys::list::USERS, before.map(|id| id.to_string()), limit)
            .await?;
        items.iter().map(user_from_item).collect()
    }

    /// A user of whichever subscription. For administrators. Read as it is now, where the
    /// list knows the user already, which it does within moments of its creation.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>, StorageError> {
        let page = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .index_name(LIST_INDEX)
            .key_condition_expression("listKey = :list AND listSort = :id")
            .expression_attribute_values(":list", s(keys::list::USERS))
            .expression_attribute_values(":id", text(id))
            .send()
            .await
            .map_err(classify)?;
        match page.items().first() {
            Some(item) => {
                let seen = user_from_item(item)?;
                self.user(seen.subscription, id).await
            }
            None => Ok(None),
        }
    }

    /// Puts `changed` in the place of `user`: name, role, active flag and subscription may
    /// differ, the id and address do not. Its sessions end where the active flag or the
    /// subscription changes. One transaction, refused where the user was changed meanwhile.
    pub async fn replace(
        &self,
        user: &User,
        changed: &User,
        password: Option<&PasswordHash>,
    ) -> Result<Changed, StorageError> {
        let stored = with_password(user_to_item(changed), password);
        let mut writes = Vec::new();
        if user.subscription == changed.subscription {
            let put = aws_sdk_dynamodb::types::Put::builder()
                .table_name(self.table.name())
                .set_item(Some(stored))
                .condition_expression("credentials = :seen")
                .expression_attribute_values(":seen", n(user.credentials))
                .build()
                .map_err(|error| StorageError::Refused(error.into()))?;
            writes.push(TransactWriteItem::builder().put(put).build());
        } else {
            let email = aws_sdk_dynamodb::types::Put::builder()
                .table_name(self.table.name())
                .set_item(Some(email_item(changed)))
                .build()
                .map_err(|error| StorageError::Refused(error.into()))?;
            writes.push(self.deletion(user)?);
            writes.push(self.put(stored)?);
            writes.push(TransactWriteItem::builder().put(email).build());
            writes.push(self.subscription_exists(changed.subscription)?);
        }
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(Changed::Done),
            Transacted::Refused(_) => Ok(Changed::Stale),
        }
    }

    /// Removes a user: its address is free again, its sessions and codes lead nowhere.
    pub async fn remove(&self, user: &User) -> Result<Changed, StorageError> {
        let email = Delete::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::email(&user.email).attributes()))
            .condition_expression("#user = :user")
            .expression_attribute_names("#user", "user")
            .expression_attribute_values(":user", text(user.id))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        let writes = vec![
            self.deletion(user)?,
            TransactWriteItem::builder().delete(email).build(),
        ];
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(Changed::Done),
            Transacted::Refused(_) => Ok(Changed::Stale),
        }
    }

    fn deletion(&self, user: &User) -> Result<TransactWriteItem, StorageError> {
        let delete = Delete::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::user(user.subscription, user.id).attributes()))
            .condition_expression("credentials = :seen")
            .expression_attribute_values(":seen", n(user.credentials))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    fn subscription_exists(&self, id: SubscriptionId) -> Result<TransactWriteItem, StorageError> {
        let check = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(id).attributes()))
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(deleted)")
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Passes a subscription on to another of its users.
    pub async fn set_owner(&self, id: SubscriptionId, owner: UserId) -> Result<Changed, StorageError> {
        let request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(id).attributes()))
            .update_expression("SET #owner = :owner")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", AttributeValue::S(owner.to_string()));
        super::changed(request.send().await)
    }
}
