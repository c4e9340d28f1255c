//! A key gets another secret.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use chrono::{DateTime, Utc};

use super::{
    ApiKeys, KeyChanged, ListedKey, REVOKED_TERM, as_it_was_read, grant_attributes, grant_from_item,
};
use crate::auth::api_key::{Grant, KeySecret};
use crate::domain::account::User;
use crate::storage::error::StorageError;
use crate::storage::item::{s, seconds, text, time};
use crate::storage::keys;
use crate::storage::outcome::Transacted;

impl ApiKeys {
    /// Replaces a key's secret. Without `old_until` no earlier secret is good from here on. With it the present
    /// secret is good until then, and the oldest one that is still good stays so until its own end: if the answer to
    /// an earlier rotation was lost, that oldest secret is the one that everybody uses. As with a new key, nothing
    /// changes where the sessions of the user who asks for it have ended.
    pub async fn rotate(
        &self,
        key: &ListedKey,
        secret: &KeySecret,
        old_until: Option<DateTime<Utc>>,
        by: &User,
        now: DateTime<Utc>,
    ) -> Result<KeyChanged, StorageError> {
        let refused = |error: aws_sdk_dynamodb::error::BuildError| StorageError::Refused(error.into());
        let oldest = match old_until {
            Some(_) => self.oldest_that_is_good(key, now).await?,
            None => None,
        };
        let listed = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(
                keys::listed_key(key.grant.instance, key.grant.key).attributes(),
            ))
            .update_expression(
                "SET #hash = :new, formerHash = :hash, oldestHash = :oldest, prefix = :prefix, rotatedAt = :now, \
                 shownTo = :by, #version = :next",
            )
            .expression_attribute_values(":oldest", oldest.map_or(AttributeValue::Null(true), s))
            .expression_attribute_values(":by", text(by.id))
            .expression_attribute_values(":new", s(secret.hash()))
            .expression_attribute_values(":prefix", s(secret.prefix()))
            .expression_attribute_values(":now", time(now));
        let listed = as_it_was_read(listed, key);
        let mut by_hash = grant_attributes(&key.grant);
        by_hash.extend(keys::api_key(&secret.hash()).attributes());
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(by_hash))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(refused)?;
        let mut writes = vec![
            TransactWriteItem::builder()
                .update(listed.build().map_err(refused)?)
                .build(),
            TransactWriteItem::builder().put(put).build(),
            self.is_logged_in(by)?,
        ];
        let old = match old_until {
            Some(until) => {
                let until = [Some(until), key.grant.expires_at]
                    .into_iter()
                    .flatten()
                    .min()
                    .unwrap_or(until);
                self.by_hash(&key.hash, "SET expiresAt = :until, #exp = :exp")
                    .expression_attribute_names("#exp", "exp")
                    .expression_attribute_values(":until", time(until))
                    .expression_attribute_values(":exp", seconds(until + REVOKED_TERM))
            }
            None => self.revocation(&key.hash, now),
        };
        let earlier = key.earlier().filter(|hash| Some(*hash) != oldest);
        let earlier = earlier.map(|hash| self.revocation(hash, now));
        for old in std::iter::once(old).chain(earlier) {
            let old = old.build().map_err(refused)?;
            writes.push(TransactWriteItem::builder().update(old).build());
        }
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(KeyChanged::Done),
            Transacted::Refused(_) => Ok(KeyChanged::Stale),
        }
    }

    /// The oldest earlier secret of a key that is still good. One read unit for each earlier secret.
    async fn oldest_that_is_good<'a>(
        &self,
        key: &'a ListedKey,
        now: DateTime<Utc>,
    ) -> Result<Option<&'a str>, StorageError> {
        for hash in key.earlier() {
            let found = self.table.get(&keys::api_key(hash)).await?;
            let found = found.filter(|item| item.contains_key("id"));
            let grant = found.as_ref().map(grant_from_item).transpose()?;
            let is_good = |grant: Grant| {
                grant.revoked_at.is_none() && grant.expires_at.is_none_or(|expires_at| expires_at > now)
            };
            if grant.is_some_and(is_good) {
                return Ok(Some(hash));
            }
        }
        Ok(None)
    }
}
