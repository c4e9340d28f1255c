//! Subscriptions and their users.

mod administrators;
mod changes;
mod departures;
mod invitations;
mod items;
mod members;
mod plan;
mod subscriptions;
mod users;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

pub use self::departures::{Marked, Removed};
pub use self::invitations::{Accepted, Invitation, Invited};
use self::items::{password_from_item, subscription_to_item, user_to_item};
pub(super) use self::items::{subscription_from_item, user_from_item};
pub use self::members::{Added, Member};
pub use self::plan::Aftermath;
pub use self::subscriptions::{SubscriptionChange, SubscriptionChanged};
pub use self::users::{UserChange, UserChanged};
use super::error::{StorageError, classify};
use super::item::{Item, Reader, s, text};
use super::keys;
use super::outcome::{Transacted, condition_failed};
use super::table::Table;
use crate::auth::password::PasswordHash;
use crate::domain::account::{EmailAddress, Subscription, User};
use crate::ids::{SubscriptionId, UserId};

/// What came of registering a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// User and subscription are there.
    Created,
    /// Another user has the e-mail address.
    EmailTaken,
    /// Only the first user may register, and there is one.
    NotFirst,
}

/// What came of changing a user or a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is changed.
    Done,
    /// It is gone, or was changed by somebody else meanwhile.
    Stale,
}

fn changed<T, E, R>(sent: Result<T, SdkError<E, R>>) -> Result<Changed, StorageError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match sent {
        Ok(_) => Ok(Changed::Done),
        Err(error) if condition_failed(&error) => Ok(Changed::Stale),
        Err(error) => Err(classify(error)),
    }
}

/// The subscriptions and users of the table.
#[derive(Debug, Clone)]
pub struct Accounts {
    table: Table,
}

impl Accounts {
    /// The accounts of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Creates a user together with a subscription of its own, where nobody has the e-mail address. One transaction:
    /// the rule holds under concurrency. A member made by an invitation who never set a password has no claim to the
    /// address and makes room.
    pub async fn register(
        &self,
        user: &User,
        password: &PasswordHash,
        subscription: &Subscription,
    ) -> Result<Registered, StorageError> {
        let registered = self.register_new(user, password, subscription).await?;
        if registered == Registered::EmailTaken
            && let Some((present, of_present)) = self.get_credentials(&user.email).await?
            && present.never_came(of_present.as_ref())
        {
            self.delete_user(present.subscription, present.id).await?;
            return self.register_new(user, password, subscription).await;
        }
        Ok(registered)
    }

    async fn register_new(
        &self,
        user: &User,
        password: &PasswordHash,
        subscription: &Subscription,
    ) -> Result<Registered, StorageError> {
        let writes = self.registration(user, password, subscription)?;
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(Registered::Created),
            Transacted::Refused(failed) if failed.first() == Some(&true) => Ok(Registered::EmailTaken),
            Transacted::Refused(_) => Err(StorageError::Conflict("a new id is taken".into())),
        }
    }

    /// Creates the first user of the table together with a subscription of its own. Of those who come at the same time one is the first:
    /// the first user's place is an item, which is written in the same transaction and stays, whatever becomes of the user. Nobody is the
    /// first where [`Accounts::has_user`] finds a user.
    pub async fn register_first(
        &self,
        user: &User,
        password: &PasswordHash,
        subscription: &Subscription,
    ) -> Result<Registered, StorageError> {
        if self.has_user().await? {
            return Ok(Registered::NotFirst);
        }
        let mut place = keys::first_user().attributes();
        place.insert("user".into(), text(user.id));
        let mut writes = self.registration(user, password, subscription)?;
        writes.push(self.put(place)?);
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(Registered::Created),
            Transacted::Refused(failed) if failed.last() == Some(&true) => Ok(Registered::NotFirst),
            Transacted::Refused(failed) if failed.first() == Some(&true) => Ok(Registered::EmailTaken),
            Transacted::Refused(_) => Err(StorageError::Conflict("a new id is taken".into())),
        }
    }

    /// Whether there is a user, or was a first one. A user who registered while anybody was allowed to has not taken the first user's
    /// place, so the list of users is asked too. It is a moment behind.
    pub async fn has_user(&self) -> Result<bool, StorageError> {
        let has_first = self.table.get(&keys::first_user()).await?.is_some();
        Ok(has_first || self.table.has_listed(keys::list::USERS).await?)
    }

    /// The writes of a user with a subscription of its own. The first one fails where the address is taken.
    fn registration(
        &self,
        user: &User,
        password: &PasswordHash,
        subscription: &Subscription,
    ) -> Result<Vec<TransactWriteItem>, StorageError> {
        Ok(vec![
            self.put(email_item(user))?,
            self.put(with_password(user_to_item(user), Some(password)))?,
            self.put(subscription_to_item(subscription))?,
        ])
    }

    /// The user of an e-mail address, and the hash of its password. A user who is about to set a new one has none.
    /// Where there is no user just as much is read, so that the time taken does not tell.
    pub async fn get_credentials(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<(User, Option<PasswordHash>)>, StorageError> {
        let found = self.table.get(&keys::email(email)).await?;
        let key = match &found {
            Some(item) => {
                let read = Reader::new("e-mail address", item);
                keys::user(read.parse("subscription")?, read.parse("user")?)
            }
            None => keys::user(SubscriptionId::from_bytes([0; 16]), UserId::from_bytes([0; 16])),
        };
        let Some(item) = self.table.get(&key).await? else {
            return Ok(None);
        };
        Ok(Some((user_from_item(&item)?, password_from_item(&item)?)))
    }

    /// A user of this subscription with the hash of its password.
    pub async fn get_user_with_password(
        &self,
        subscription: SubscriptionId,
        id: UserId,
    ) -> Result<Option<(User, Option<PasswordHash>)>, StorageError> {
        match self.table.get(&keys::user(subscription, id)).await? {
            Some(item) => Ok(Some((user_from_item(&item)?, password_from_item(&item)?))),
            None => Ok(None),
        }
    }

    /// A user of this subscription.
    pub async fn get_user(
        &self,
        subscription: SubscriptionId,
        id: UserId,
    ) -> Result<Option<User>, StorageError> {
        let found = self.table.get(&keys::user(subscription, id)).await?;
        found.as_ref().map(user_from_item).transpose()
    }

    /// A subscription.
    pub async fn get_subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StorageError> {
        let found = self.table.get(&keys::subscription(id)).await?;
        found.as_ref().map(subscription_from_item).transpose()
    }

    /// A subscription as it was a moment ago, for half the price: for requests with an API key, whose subscription is
    /// not new. One that this read does not find is read again, consistently.
    pub async fn get_recent_subscription(
        &self,
        id: SubscriptionId,
    ) -> Result<Option<Subscription>, StorageError> {
        match self.table.get_recent(&keys::subscription(id)).await? {
            Some(item) => subscription_from_item(&item).map(Some),
            None => self.get_subscription(id).await,
        }
    }

    /// The write of an item that does not exist yet.
    fn put(&self, item: Item) -> Result<TransactWriteItem, StorageError> {
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// The item that holds a user's e-mail address unique and leads to the user.
fn email_item(user: &User) -> Item {
    let mut item = keys::email(&user.email).attributes();
    item.insert("user".into(), text(user.id));
    item.insert("subscription".into(), text(user.subscription));
    item
}

fn with_password(mut item: Item, password: Option<&PasswordHash>) -> Item {
    if let Some(password) = password {
        item.insert("password".into(), s(password.as_str()));
    }
    item
}
