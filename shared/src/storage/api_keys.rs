//! API keys. Each has two items: one by the secret's hash, with all that a request needs, and one in the instance's
//! list, with what its owner sees.

mod admission;
mod instance;
mod rotation;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use chrono::{DateTime, TimeDelta, Utc};

pub use self::admission::Admission;
use self::admission::Known;
use super::error::StorageError;
use super::item::{Item, Reader, n, s, seconds, text, time};
use super::keys;
use super::outcome::{Transacted, held};
use super::table::Table;
use crate::auth::api_key::{Grant, KeySecret};
use crate::domain::account::{PersonName, User};
use crate::domain::instance::Wanted;
use crate::domain::shard::Shard;
use crate::ids::{InstanceId, KeyId, UserId};

/// What came of creating a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCreated {
    /// It is there.
    Created,
    /// The instance it was for is gone.
    InstanceGone,
    /// The instance has [`MAX_KEYS`] already.
    TooMany,
    /// The sessions of the user who asked for it ended meanwhile.
    SessionOver,
}

/// A key as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// What it grants.
    pub grant: Grant,
    /// Its name.
    pub name: PersonName,
    /// The beginning of its secret.
    pub prefix: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When its secret was replaced last.
    pub rotated_at: Option<DateTime<Utc>>,
    /// When the hour began in which it was used last.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Whom its secret was shown to.
    shown_to: Option<UserId>,
    /// How often it was changed.
    version: u64,
    /// The hash of its secret.
    hash: String,
    /// The hash of the secret just before it, which may be good for a while yet.
    former_hash: Option<String>,
    /// The hash of the oldest secret that was still good when the present one came. `None` where that is the one just
    /// before.
    oldest_hash: Option<String>,
}

impl ListedKey {
    /// Whether a user was shown its present secret.
    pub fn was_shown_to(&self, user: UserId) -> bool {
        self.shown_to == Some(user)
    }

    /// The key with a change.
    #[must_use]
    pub fn with(self, grant: Grant, name: PersonName) -> Self {
        Self { grant, name, ..self }
    }

    /// The hashes of its secrets before the present one that may still be good.
    fn earlier(&self) -> impl Iterator<Item = &str> {
        let earlier = [&self.oldest_hash, &self.former_hash];
        earlier.into_iter().filter_map(Option::as_deref)
    }

    /// The hashes of all its secrets that may be good.
    fn hashes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.hash).chain(self.earlier())
    }
}

/// What came of changing a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChanged {
    /// It is changed.
    Done,
    /// It is gone, or somebody else changed it meanwhile.
    Stale,
}

/// Keys that an instance may have, expired ones included. It bounds the work that is done to all keys of an instance.
pub const MAX_KEYS: u32 = 100;

/// How long a revoked key is remembered, so that its holder is told why it does not work.
const REVOKED_TERM: TimeDelta = TimeDelta::days(90);

/// The API keys of the table. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    table: Table,
    known: Known,
}

impl ApiKeys {
    /// The keys of this table.
    pub fn new(table: Table) -> Self {
        Self {
            table,
            known: Known::default(),
        }
    }

    /// Creates a key for an instance that exists: both items or neither. Where the sessions of the user who asks for
    /// it have ended meanwhile no key is made: what ends them may revoke keys, and must not miss one. Requests that
    /// come together may pass [`MAX_KEYS`] by a few.
    pub async fn create(
        &self,
        grant: &Grant,
        secret: &KeySecret,
        name: &PersonName,
        by: &User,
        now: DateTime<Utc>,
    ) -> Result<KeyCreated, StorageError> {
        let present = self.list(grant.instance, None, MAX_KEYS).await?;
        if present.len() >= MAX_KEYS as usize {
            return Ok(KeyCreated::TooMany);
        }
        let refused = |error: aws_sdk_dynamodb::error::BuildError| StorageError::Refused(error.into());
        let instance = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(grant.instance).attributes()))
            // No write of a daemon makes an instance, but a deletion leaves a tombstone.
            .condition_expression("subscription = :subscription AND wanted <> :deleted")
            .expression_attribute_values(":deleted", text(Wanted::Deleted))
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
        listed.insert("version".into(), n(0));
        listed.insert("shownTo".into(), text(by.id));
        let mut by_hash = grant_attributes(grant);
        by_hash.extend(keys::api_key(&secret.hash()).attributes());
        let writes = vec![
            TransactWriteItem::builder().condition_check(instance).build(),
            TransactWriteItem::builder().put(put(by_hash)?).build(),
            TransactWriteItem::builder().put(put(listed)?).build(),
            self.is_logged_in(by)?,
        ];
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(KeyCreated::Created),
            Transacted::Refused(failed) if failed.first() == Some(&true) => Ok(KeyCreated::InstanceGone),
            Transacted::Refused(failed) if failed.last() == Some(&true) => Ok(KeyCreated::SessionOver),
            Transacted::Refused(_) => Err(StorageError::Conflict("a new key is taken".into())),
        }
    }

    /// What a secret grants. Half a read unit; a secret that this read does not find, as a brand-new one may be, is
    /// read again consistently.
    pub async fn grant(&self, secret: &KeySecret) -> Result<Option<Grant>, StorageError> {
        self.granted_to(&secret.hash()).await
    }

    /// The same of the secret with this hash.
    async fn granted_to(&self, hash: &str) -> Result<Option<Grant>, StorageError> {
        let key = keys::api_key(hash);
        let found = match self.table.get_recent(&key).await? {
            None => self.table.get(&key).await?,
            found => found,
        };
        let found = found.filter(|item| item.contains_key("id"));
        found.as_ref().map(grant_from_item).transpose()
    }

    /// The keys of an instance, newest first, that were created before `before`.
    pub async fn list(
        &self,
        instance: InstanceId,
        before: Option<KeyId>,
        limit: u32,
    ) -> Result<Vec<ListedKey>, StorageError> {
        let before = before.map(|id| keys::listed_key(instance, id));
        let partition = keys::instance(instance).pk;
        let page = self
            .table
            .last_with_prefix(partition, keys::LISTED_KEY_PREFIX, before, limit);
        page.await?.iter().map(listed_from_item).collect()
    }

    /// A key of an instance.
    pub async fn get(&self, instance: InstanceId, id: KeyId) -> Result<Option<ListedKey>, StorageError> {
        let found = self.table.get(&keys::listed_key(instance, id)).await?;
        found.as_ref().map(listed_from_item).transpose()
    }

    /// Gives a key the name, scopes, ranges, expiry and rate of `grant`. Earlier secrets that are still good get them
    /// too.
    pub async fn update(
        &self,
        key: &ListedKey,
        grant: &Grant,
        name: &PersonName,
    ) -> Result<KeyChanged, StorageError> {
        let set = |builder: UpdateBuilder, expires_at: Option<DateTime<Utc>>| {
            builder
                .expression_attribute_values(":scopes", list(&grant.scopes))
                .expression_attribute_values(":cidrs", list(&grant.allowed_cidrs))
                .expression_attribute_values(":rate", n(grant.rate_limit))
                .expression_attribute_values(":expires", expires_at.map_or(AttributeValue::Null(true), time))
        };
        let listed = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::listed_key(grant.instance, grant.key).attributes()))
            .update_expression(
                "SET #name = :name, scopes = :scopes, cidrs = :cidrs, rateLimit = :rate, expiresAt = :expires, #version = :next",
            )
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", s(name.as_str()));
        let listed = as_it_was_read(listed, key);
        let mut writes = vec![set(listed, grant.expires_at)];
        writes.push(set(self.by_hash(&key.hash, GRANT_UPDATE), grant.expires_at));
        for earlier in key.earlier() {
            if let Some(item) = self.table.get(&keys::api_key(earlier)).await? {
                // An earlier secret keeps its own end, which is the end of its grace.
                let ends = Reader::new("API key", &item).opt_time("expiresAt")?;
                let ends = [ends, grant.expires_at].into_iter().flatten().min();
                writes.push(set(self.by_hash(earlier, GRANT_UPDATE), ends));
            }
        }
        self.change(writes).await
    }

    /// Revokes a key: none of its secrets is good from here on, and it leaves the list.
    pub async fn revoke(&self, key: &ListedKey, now: DateTime<Utc>) -> Result<KeyChanged, StorageError> {
        let refused = |error: aws_sdk_dynamodb::error::BuildError| StorageError::Refused(error.into());
        let listed = Delete::builder()
            .table_name(self.table.name())
            .set_key(Some(
                keys::listed_key(key.grant.instance, key.grant.key).attributes(),
            ))
            .condition_expression("#hash = :hash")
            .expression_attribute_names("#hash", "hash")
            .expression_attribute_values(":hash", s(&key.hash))
            .build()
            .map_err(refused)?;
        let mut writes = vec![TransactWriteItem::builder().delete(listed).build()];
        for hash in key.hashes() {
            let revoked = self.revocation(hash, now).build().map_err(refused)?;
            writes.push(TransactWriteItem::builder().update(revoked).build());
        }
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(KeyChanged::Done),
            Transacted::Refused(_) => Ok(KeyChanged::Stale),
        }
    }

    /// Notes that a key was used in the hour that began at `hour`. Called with the first request of an hour, so it
    /// costs one write unit an hour and not one a request.
    pub async fn used(&self, grant: &Grant, hour: DateTime<Utc>) -> Result<(), StorageError> {
        let sent = self
            .table
            .update(&keys::listed_key(grant.instance, grant.key))
            .update_expression("SET lastUsedAt = :hour")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":hour", time(hour))
            .send()
            .await;
        // The secret is in its grace, and the key itself was revoked.
        held(sent)?;
        Ok(())
    }

    /// The check that a user's credentials are as they were when its request was let in.
    fn is_logged_in(&self, user: &User) -> Result<TransactWriteItem, StorageError> {
        let check = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::user(user.subscription, user.id).attributes()))
            .condition_expression("credentials = :credentials")
            .expression_attribute_values(":credentials", n(user.credentials))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    fn by_hash(&self, hash: &str, update: &str) -> UpdateBuilder {
        Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::api_key(hash).attributes()))
            .update_expression(update)
    }

    /// The update that revokes a secret. An item that expiry has removed comes back with nothing but the revocation:
    /// it grants nothing, and expires again.
    fn revocation(&self, hash: &str, now: DateTime<Utc>) -> UpdateBuilder {
        self.by_hash(
            hash,
            "SET revokedAt = if_not_exists(revokedAt, :now), #exp = :exp",
        )
        .expression_attribute_names("#exp", "exp")
        .expression_attribute_values(":now", time(now))
        .expression_attribute_values(":exp", seconds(now + REVOKED_TERM))
    }

    async fn change(&self, writes: Vec<UpdateBuilder>) -> Result<KeyChanged, StorageError> {
        let writes = writes.into_iter().map(|update| {
            let update = update
                .build()
                .map_err(|error| StorageError::Refused(error.into()))?;
            Ok(TransactWriteItem::builder().update(update).build())
        });
        match self
            .table
            .transact(writes.collect::<Result<_, StorageError>>()?)
            .await?
        {
            Transacted::Done => Ok(KeyChanged::Done),
            Transacted::Refused(_) => Ok(KeyChanged::Stale),
        }
    }
}

/// Adds the condition that nobody has changed the key since it was read, to an update that sets `#version` to
/// `:next`. Of two changes at once one succeeds, so neither undoes the other.
fn as_it_was_read(update: UpdateBuilder, key: &ListedKey) -> UpdateBuilder {
    update
        .condition_expression("#hash = :hash AND (attribute_not_exists(#version) OR #version = :version)")
        .expression_attribute_names("#hash", "hash")
        .expression_attribute_names("#version", "version")
        .expression_attribute_values(":hash", s(&key.hash))
        .expression_attribute_values(":version", n(key.version))
        .expression_attribute_values(":next", n(key.version + 1))
}

const GRANT_UPDATE: &str = "SET scopes = :scopes, cidrs = :cidrs, rateLimit = :rate, expiresAt = :expires";

fn listed_from_item(item: &Item) -> Result<ListedKey, StorageError> {
    let read = Reader::new("API key", item);
    Ok(ListedKey {
        grant: grant_from_item(item)?,
        name: read.parse("name")?,
        prefix: read.str("prefix")?.to_owned(),
        created_at: read.time("createdAt")?,
        rotated_at: read.opt_time("rotatedAt")?,
        last_used_at: read.opt_time("lastUsedAt")?,
        shown_to: read.opt_parse("shownTo")?,
        version: read.opt_number("version")?.unwrap_or(0),
        hash: read.str("hash")?.to_owned(),
        former_hash: read.opt_str("formerHash")?.map(str::to_owned),
        oldest_hash: read.opt_str("oldestHash")?.map(str::to_owned),
    })
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

pub(super) fn grant_from_item(item: &Item) -> Result<Grant, StorageError> {
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
