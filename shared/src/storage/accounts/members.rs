//! Users beyond a subscription's first: created and listed.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};

use super::items::{password_from_item, user_from_item, user_to_item};
use super::{Accounts, email_item, with_password};
use crate::auth::password::PasswordHash;
use crate::domain::account::User;
use crate::ids::{SubscriptionId, UserId};
use crate::storage::error::StorageError;
use crate::storage::item::n;
use crate::storage::keys;
use crate::storage::outcome::Transacted;

/// What came of adding a user to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is there.
    Created,
    /// Another user has the e-mail address.
    EmailTaken,
    /// The subscription is gone, or about to go.
    SubscriptionGone,
}

/// A user as the others of its subscription see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: User,
    /// Whether it is invited and has not set a password yet.
    pub invited: bool,
}

impl Accounts {
    /// Creates a user of a subscription that is there. Without a password nobody can log in
    /// as that user until one is set.
    pub async fn add(&self, user: &User, password: Option<&PasswordHash>) -> Result<Added, StorageError> {
        let mut writes = vec![
            self.join(user.subscription)?,
            self.put(email_item(user))?,
            self.put(with_password(user_to_item(user), password))?,
        ];
        writes.extend(self.administrators(None, Some(user))?);
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(Added::Created),
            Transacted::Refused(failed) if failed.first() == Some(&true) => Ok(Added::SubscriptionGone),
            Transacted::Refused(failed) if failed.get(1) == Some(&true) => Ok(Added::EmailTaken),
            Transacted::Refused(_) => Err(StorageError::Conflict("a new id is taken".into())),
        }
    }

    /// Up to `limit` users of a subscription, newest first, that were created before `before`.
    pub async fn list_members(
        &self,
        subscription: SubscriptionId,
        before: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<Member>, StorageError> {
        let before = before.map(|id| keys::user(subscription, id));
        let partition = keys::subscription(subscription).pk;
        let page = self
            .table
            .last_with_prefix(partition, keys::USER_PREFIX, before, limit);
        let page = page.await?;
        let members = page.iter().map(|item| {
            Ok(Member {
                user: user_from_item(item)?,
                invited: password_from_item(item)?.is_none(),
            })
        });
        members.collect()
    }

    /// The write that counts one user more of a subscription that is there to stay.
    pub(super) fn join(&self, id: SubscriptionId) -> Result<TransactWriteItem, StorageError> {
        let update = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(id).attributes()))
            .update_expression("ADD memberCount :one")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(deleting)")
            .expression_attribute_values(":one", n(1))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}
