//! API keys: one item by the secret's hash, with all that a request needs, and one in the
//! instance's list, with what its owner sees.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use chrono::{DateTime, Utc};

use super::error::StorageError;
use super::item::{Item, Reader, n, s, text, time};
use super::keys;
use super::outcome::Transacted;
use super::table::Table;
use crate::auth::api_key::{Grant, KeySecret};
use crate::domain::account::PersonName;
use crate::domain::shard::Shard;

/// What came of creating a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCreated {
    /// It is there.
    Created,
    /// The instance it was for is gone.
    InstanceGone,
}

/// The API keys of the table.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    table: Table,
}

impl ApiKeys {
    /// The keys of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Creates a key for an instance that is there: both items or neither.
    pub async fn create(
        &self,
        grant: &Grant,
        secret: &KeySecret,
        name: &PersonName,
        now: DateTime<Utc>,
    ) -> Result<KeyCreated, StorageError> {
        let refused = |error: aws_sdk_dynamodb::error::BuildError| StorageError::Refused(error.into());
        let instance = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(grant.instance).attributes()))
            // The daemon's own writes can make no instance, but a deletion leaves a tombstone.
            .condition_expression("attribute_exists(pk) AND subscription = :subscription")
            .expression_attribute_values(":subscription", text(grant.subscription))
            .build()
            .map_err(refused)?;
        let put = |item: Item| {
            Put::builder()
                .table_name(self.table.name())
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(refused)
        };
        let mut listed = grant_attributes(grant);
        listed.extend(keys::listed_key(grant.instance, grant.key).attributes());
        listed.insert("name".into(), s(name.as_str()));
        listed.insert("prefix".into(), s(secret.prefix()));
        listed.insert("hash".into(), s(secret.hash()));
        listed.insert("createdAt".into(), time(now));
        let mut by_hash = grant_attributes(grant);
        by_hash.extend(keys::api_key(&secret.hash()).attributes());
        let writes = vec![
            TransactWriteItem::builder().condition_check(instance).build(),
            TransactWriteItem::builder().put(put(by_hash)?).build(),
            TransactWriteItem::builder().put(put(listed)?).build(),
        ];
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(KeyCreated::Created),
            Transacted::Refused(failed) if failed.first() == Some(&true) => Ok(KeyCreated::InstanceGone),
            Transacted::Refused(_) => Err(StorageError::Conflict("a new key is taken".into())),
        }
    }

    /// What a secret grants. Half a read unit for a key that is not brand-new: only what is
    /// not to be seen yet is read again, consistently.
    pub async fn grant(&self, secret: &KeySecret) -> Result<Option<Grant>, StorageError> {
        let key = keys::api_key(&secret.hash());
        let found = match self.table.get_recent(&key).await? {
            None => self.table.get(&key).await?,
            found => found,
        };
        found.as_ref().map(grant_from_item).transpose()
    }
}

fn list(values: impl IntoIterator<Item = impl std::fmt::Display>) -> AttributeValue {
    AttributeValue::L(values.into_iter().map(text).collect())
}

fn grant_attributes(grant: &Grant) -> Item {
    let mut item = Item::from([
        ("id".to_owned(), text(grant.key)),
        ("instance".to_owned(), text(grant.instance)),
        ("subscription".to_owned(), text(grant.subscription)),
        ("instanceName".to_owned(), text(&grant.instance_name)),
        ("network".to_owned(), text(grant.network)),
        ("shard".to_owned(), n(grant.shard)),
        ("scopes".to_owned(), list(&grant.scopes)),
        ("cidrs".to_owned(), list(&grant.allowed_cidrs)),
        ("rateLimit".to_owned(), n(grant.rate_limit)),
    ]);
    for (field, at) in [("expiresAt", grant.expires_at), ("revokedAt", grant.revoked_at)] {
        if let Some(at) = at {
            item.insert(field.to_owned(), time(at));
        }
    }
    item
}

fn grant_from_item(item: &Item) -> Result<Grant, StorageError> {
    let read = Reader::new("API key", item);
    let scopes = read.list("scopes")?.into_iter();
    let scopes = scopes.map(|scope| scope.parse().map_err(|_| read.corrupt("scopes")));
    let cidrs = read.list("cidrs")?.into_iter();
    let cidrs = cidrs.map(|cidr| cidr.parse().map_err(|_| read.corrupt("cidrs")));
    Ok(Grant {
        key: read.parse("id")?,
        instance: read.parse("instance")?,
        subscription: read.parse("subscription")?,
        instance_name: read.parse("instanceName")?,
        network: read.parse("network")?,
        shard: Shard(read.number("shard")?),
        scopes: scopes.collect::<Result<_, _>>()?,
        allowed_cidrs: cidrs.collect::<Result<_, _>>()?,
        expires_at: read.opt_time("expiresAt")?,
        rate_limit: read.number("rateLimit")?,
        revoked_at: read.opt_time("revokedAt")?,
    })
}
