//! Subscriptions and their users.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use chrono::{DateTime, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, n, s, text, time};
use super::keys;
use super::outcome::{Transacted, condition_failed};
use super::table::Table;
use crate::auth::password::PasswordHash;
use crate::domain::account::{EmailAddress, PersonName, Subscription, User};
use crate::ids::{SubscriptionId, UserId};

/// What came of registering a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// User and subscription are there.
    Created,
    /// Another user has the e-mail address.
    EmailTaken,
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

    /// Creates a user together with a subscription of its own, where nobody has the e-mail
    /// address. One transaction: the rule holds under concurrency.
    pub async fn register(
        &self,
        user: &User,
        password: &PasswordHash,
        subscription: &Subscription,
    ) -> Result<Registered, StorageError> {
        let put = |item: Item| {
            let put = Put::builder()
                .table_name(self.table.name())
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(|error| StorageError::Refused(error.into()))?;
            Ok(TransactWriteItem::builder().put(put).build())
        };
        let mut email = keys::email(&user.email).attributes();
        email.insert("user".into(), text(user.id));
        email.insert("subscription".into(), text(user.subscription));
        let mut stored_user = user_to_item(user);
        stored_user.insert("password".into(), s(password.as_str()));
        let writes = vec![
            put(email)?,
            put(stored_user)?,
            put(subscription_to_item(subscription))?,
        ];
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(Registered::Created),
            Transacted::Refused(failed) if failed.first() == Some(&true) => Ok(Registered::EmailTaken),
            Transacted::Refused(_) => Err(StorageError::Conflict("a new id is taken".into())),
        }
    }

    /// The user of an e-mail address, and the hash of its password; an invited user who has
    /// not come yet has none. Reads as much where there is no user, so that the time taken does
    /// not tell.
    pub async fn credentials(
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
    pub async fn user_with_password(
        &self,
        subscription: SubscriptionId,
        id: UserId,
    ) -> Result<Option<(User, Option<PasswordHash>)>, StorageError> {
        match self.table.get(&keys::user(subscription, id)).await? {
            Some(item) => Ok(Some((user_from_item(&item)?, password_from_item(&item)?))),
            None => Ok(None),
        }
    }

    /// Sets a user's password where its credentials are still of version `seen`, and raises
    /// the version: every session and code of before is over. Where `verified_at` is given, the
    /// e-mail address is verified too, since the code came to it.
    pub async fn set_password(
        &self,
        user: &User,
        password: &PasswordHash,
        verified_at: Option<DateTime<Utc>>,
    ) -> Result<Changed, StorageError> {
        let mut update = String::from("SET password = :password, credentials = :next");
        let mut request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::user(user.subscription, user.id).attributes()))
            .condition_expression("credentials = :seen")
            .expression_attribute_values(":password", s(password.as_str()))
            .expression_attribute_values(":seen", n(user.credentials))
            .expression_attribute_values(":next", n(user.credentials + 1));
        if let Some(at) = verified_at {
            update.push_str(", emailVerifiedAt = if_not_exists(emailVerifiedAt, :verified)");
            request = request.expression_attribute_values(":verified", time(at));
        }
        changed(request.update_expression(update).send().await)
    }

    /// Notes that a user's e-mail address is its own. The first time counts.
    pub async fn set_email_verified(
        &self,
        subscription: SubscriptionId,
        id: UserId,
        at: DateTime<Utc>,
    ) -> Result<Changed, StorageError> {
        let request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::user(subscription, id).attributes()))
            .update_expression("SET emailVerifiedAt = if_not_exists(emailVerifiedAt, :at)")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":at", time(at));
        changed(request.send().await)
    }

    /// Gives a user another name.
    pub async fn set_name(
        &self,
        subscription: SubscriptionId,
        id: UserId,
        name: &PersonName,
    ) -> Result<Changed, StorageError> {
        let request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::user(subscription, id).attributes()))
            .update_expression("SET #name = :name")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", s(name.as_str()));
        changed(request.send().await)
    }

    /// A user of this subscription.
    pub async fn user(&self, subscription: SubscriptionId, id: UserId) -> Result<Option<User>, StorageError> {
        let found = self.table.get(&keys::user(subscription, id)).await?;
        found.as_ref().map(user_from_item).transpose()
    }

    /// A subscription.
    pub async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StorageError> {
        let found = self.table.get(&keys::subscription(id)).await?;
        found.as_ref().map(subscription_from_item).transpose()
    }

    /// A subscription as it was a moment ago, for half the price: for requests with an API
    /// key, whose subscription is not new. Where it is not to be seen yet, it is read again.
    pub async fn recent_subscription(
        &self,
        id: SubscriptionId,
    ) -> Result<Option<Subscription>, StorageError> {
        match self.table.get_recent(&keys::subscription(id)).await? {
            Some(item) => subscription_from_item(&item).map(Some),
            None => self.subscription(id).await,
        }
    }
}

fn subscription_to_item(subscription: &Subscription) -> Item {
    let mut item = keys::subscription(subscription.id).attributes();
    item.insert("listKey".into(), s(keys::list::SUBSCRIPTIONS));
    item.insert("listSort".into(), text(subscription.id));
    item.insert("id".into(), text(subscription.id));
    item.insert("owner".into(), text(subscription.owner));
    item.insert("tier".into(), text(subscription.tier));
    item.insert("active".into(), AttributeValue::Bool(subscription.active));
    item.insert("createdAt".into(), time(subscription.created_at));
    item
}

fn subscription_from_item(item: &Item) -> Result<Subscription, StorageError> {
    let read = Reader::new("subscription", item);
    Ok(Subscription {
        id: read.parse("id")?,
        owner: read.parse("owner")?,
        tier: read.parse("tier")?,
        active: read.flag("active")?,
        created_at: read.time("createdAt")?,
    })
}

fn user_to_item(user: &User) -> Item {
    let mut item = keys::user(user.subscription, user.id).attributes();
    item.insert("listKey".into(), s(keys::list::USERS));
    item.insert("listSort".into(), text(user.id));
    item.insert("id".into(), text(user.id));
    item.insert("subscription".into(), text(user.subscription));
    item.insert("email".into(), s(user.email.as_str()));
    item.insert("name".into(), s(user.name.as_str()));
    item.insert("role".into(), text(user.role));
    item.insert("active".into(), AttributeValue::Bool(user.active));
    item.insert("credentials".into(), n(user.credentials));
    item.insert("createdAt".into(), time(user.created_at));
    if let Some(at) = user.email_verified_at {
        item.insert("emailVerifiedAt".into(), time(at));
    }
    item
}

fn user_from_item(item: &Item) -> Result<User, StorageError> {
    let read = Reader::new("user", item);
    Ok(User {
        id: read.parse("id")?,
        subscription: read.parse("subscription")?,
        email: read.parse::<EmailAddress>("email")?,
        name: read.parse::<PersonName>("name")?,
        role: read.parse("role")?,
        active: read.flag("active")?,
        email_verified_at: read.opt_time("emailVerifiedAt")?,
        credentials: read.number("credentials")?,
        created_at: read.time("createdAt")?,
    })
}

fn password_from_item(item: &Item) -> Result<Option<PasswordHash>, StorageError> {
    let password = Reader::new("user", item).opt_str("password")?;
    Ok(password.map(PasswordHash::from_stored))
}
