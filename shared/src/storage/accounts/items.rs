//! Subscriptions and users as items.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::auth::password::PasswordHash;
use crate::domain::account::{EmailAddress, PersonName, Subscription, User};
use crate::storage::error::StorageError;
use crate::storage::item::{Item, Reader, n, s, text, time};
use crate::storage::keys;

/// Gives an item its place in a list over all subscriptions.
fn put_into_list(item: &mut Item, list: &str, id: &str) {
    item.insert("listKey".into(), s(keys::list::key(list, id)));
    item.insert("listSort".into(), s(id));
}

/// A new subscription, which has one user.
pub(super) fn subscription_to_item(subscription: &Subscription) -> Item {
    let mut item = keys::subscription(subscription.id).attributes();
    put_into_list(&mut item, keys::list::SUBSCRIPTIONS, &subscription.id.to_string());
    item.insert("id".into(), text(subscription.id));
    item.insert("owner".into(), text(subscription.owner));
    item.insert("tier".into(), text(subscription.tier));
    item.insert("active".into(), AttributeValue::Bool(subscription.active));
    item.insert("memberCount".into(), n(1));
    item.insert("createdAt".into(), time(subscription.created_at));
    item
}

pub(in crate::storage) fn subscription_from_item(item: &Item) -> Result<Subscription, StorageError> {
    let read = Reader::new("subscription", item);
    Ok(Subscription {
        id: read.parse("id")?,
        owner: read.parse("owner")?,
        tier: read.parse("tier")?,
        active: read.flag("active")?,
        created_at: read.time("createdAt")?,
    })
}

pub(super) fn user_to_item(user: &User) -> Item {
    let mut item = keys::user(user.subscription, user.id).attributes();
    put_into_list(&mut item, keys::list::USERS, &user.id.to_string());
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

pub(in crate::storage) fn user_from_item(item: &Item) -> Result<User, StorageError> {
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

pub(super) fn password_from_item(item: &Item) -> Result<Option<PasswordHash>, StorageError> {
    let password = Reader::new("user", item).opt_str("password")?;
    Ok(password.map(PasswordHash::from_stored))
}

/// The condition that a user's item is as it was read, with the condition's names and values. The version of the
/// credentials stands for the password.
pub(super) fn unchanged(user: &User) -> (String, HashMap<String, String>, Item) {
    let mut condition =
        "credentials = :credentials AND #role = :role AND active = :active AND #name = :name".to_owned();
    let names = [("#role", "role"), ("#name", "name")];
    let mut values = Item::from([
        (":credentials".to_owned(), n(user.credentials)),
        (":role".to_owned(), text(user.role)),
        (":active".to_owned(), AttributeValue::Bool(user.active)),
        (":name".to_owned(), s(user.name.as_str())),
    ]);
    if let Some(at) = user.email_verified_at {
        condition += " AND emailVerifiedAt = :verified";
        values.insert(":verified".to_owned(), time(at));
    } else {
        condition += " AND attribute_not_exists(emailVerifiedAt)";
    }
    let names = names.map(|(key, name)| (key.to_owned(), name.to_owned()));
    (condition, HashMap::from(names), values)
}
