//! Users as administrators see and change them.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use super::items::{unchanged, user_from_item, user_to_item};
use super::plan::{ATTEMPTS, Aftermath, Plan, Step, Verdict};
use super::{Accounts, Changed, email_item, with_password};
use crate::auth::password::PasswordHash;
use crate::domain::account::{PersonName, Role, User};
use crate::ids::{SubscriptionId, UserId};
use crate::storage::error::StorageError;
use crate::storage::item::text;
use crate::storage::keys;

/// What is to be different of a user; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Its name.
    pub name: Option<PersonName>,
    /// Its role.
    pub role: Option<Role>,
    /// Whether it may log in.
    pub active: Option<bool>,
    /// Where it belongs.
    pub subscription: Option<SubscriptionId>,
}

/// What came of changing a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserChanged {
    /// It is as wanted.
    Done {
        /// As it is now.
        user: User,
        /// The subscription that it left, if it left one, and what became of that.
        left: Option<(SubscriptionId, Aftermath)>,
    },
    /// There is no such user.
    Gone,
    /// It is the last active administrator.
    LastAdministrator,
    /// It is the last user of a subscription that has instances.
    HasInstances,
    /// The subscription where it was to belong does not exist.
    NoSubscription,
}

impl Accounts {
    /// Up to `limit` users of all subscriptions, newest first, that were created before
    /// `before`. For administrators.
    pub async fn list_users(&self, before: Option<UserId>, limit: u32) -> Result<Vec<User>, StorageError> {
        let items = self
            .table
            .list_page(keys::list::USERS, before.map(|id| id.to_string()), limit)
            .await?;
        items.iter().map(user_from_item).collect()
    }

    /// A user of whichever subscription. For administrators. The list, which knows a user within moments of its
    /// creation, tells where to look; the user is then read as it is now.
    pub async fn get_user_of_any(&self, id: UserId) -> Result<Option<User>, StorageError> {
        let page = self.table.listed(keys::list::USERS, &id.to_string()).await?;
        // The list has two for a moment after the user has moved.
        for item in &page {
            let seen = user_from_item(item)?;
            if let Some(user) = self.get_user(seen.subscription, id).await? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// Changes a user, in one transaction with all that follows from it. Its sessions end
    /// where the active flag or the subscription changes.
    pub async fn update_user(
        &self,
        subscription: SubscriptionId,
        id: UserId,
        change: &UserChange,
    ) -> Result<UserChanged, StorageError> {
        for _ in 0..ATTEMPTS {
            let Some((before, password)) = self.get_user_with_password(subscription, id).await? else {
                return Ok(UserChanged::Gone);
            };
            let after = before.clone().with(change);
            let mut left = None;
            let verdict = if after == before {
                Verdict::Done
            } else {
                let mut plan = Plan::new();
                plan.push(
                    Step::Administrators,
                    self.administrators(Some(&before), Some(&after))?,
                );
                if after.subscription == before.subscription {
                    plan.push(Step::Seen, self.rewrite(&before, &after, password.as_ref())?);
                } else {
                    let aftermath = self.leave(&mut plan, &before).await?;
                    left = Some((before.subscription, aftermath));
                    plan.push(Step::Seen, self.deletion(&before)?);
                    let moved = with_password(user_to_item(&after), password.as_ref());
                    plan.push(Step::Seen, self.put(moved)?);
                    plan.push(Step::Seen, self.led_address(&after)?);
                    plan.push(Step::Join, self.join(after.subscription)?);
                }
                self.carry_out(plan).await?
            };
            match verdict {
                Verdict::Done => return Ok(UserChanged::Done { user: after, left }),
                Verdict::Outdated | Verdict::Uninvited => {}
                Verdict::LastAdministrator => return Ok(UserChanged::LastAdministrator),
                Verdict::InUse => return Ok(UserChanged::HasInstances),
                Verdict::NoSubscription => return Ok(UserChanged::NoSubscription),
            }
        }
        Err(StorageError::Conflict("a user is changed over and over".into()))
    }

    /// Gives a user another role.
    pub async fn set_role(
        &self,
        subscription: SubscriptionId,
        id: UserId,
        role: Role,
    ) -> Result<Changed, StorageError> {
        let change = UserChange {
            role: Some(role),
            ..UserChange::default()
        };
        Ok(match self.update_user(subscription, id, &change).await? {
            UserChanged::Done { .. } => Changed::Done,
            UserChanged::Gone
            | UserChanged::LastAdministrator
            | UserChanged::HasInstances
            | UserChanged::NoSubscription => Changed::Stale,
        })
    }

    pub(super) fn rewrite(
        &self,
        before: &User,
        after: &User,
        password: Option<&PasswordHash>,
    ) -> Result<TransactWriteItem, StorageError> {
        let (condition, names, values) = unchanged(before);
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(with_password(user_to_item(after), password)))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The write that leads a user's address to where the user is now.
    pub(super) fn led_address(&self, user: &User) -> Result<TransactWriteItem, StorageError> {
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(email_item(user)))
            .condition_expression("#user = :user")
            .expression_attribute_names("#user", "user")
            .expression_attribute_values(":user", text(user.id))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl User {
    /// The user with a change. A raised version of its credentials ends its sessions.
    fn with(self, change: &UserChange) -> Self {
        let active = change.active.unwrap_or(self.active);
        let subscription = change.subscription.unwrap_or(self.subscription);
        let ends_sessions = active != self.active || subscription != self.subscription;
        Self {
            name: change.name.clone().unwrap_or(self.name),
            role: change.role.unwrap_or(self.role),
            active,
            subscription,
            credentials: self.credentials + u64::from(ends_sessions),
            ..self
        }
    }
}
