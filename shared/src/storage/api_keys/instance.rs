//! What happens to all keys of an instance.

use chrono::{DateTime, Utc};

use super::{ApiKeys, KeyChanged};
use crate::domain::instance::InstanceName;
use crate::ids::{InstanceId, UserId};
use crate::storage::error::StorageError;
use crate::storage::item::text;
use crate::storage::keys::{self, Key};
use crate::storage::outcome::held;

/// Keys that are read at once.
const BATCH: u32 = 100;

impl ApiKeys {
    /// Writes an instance's new name on its keys. Each key has a copy of the name for `meta` of every answer, so that
    /// a request with a key need not read the instance. May be done again.
    pub async fn rename_instance(
        &self,
        instance: InstanceId,
        name: &InstanceName,
    ) -> Result<(), StorageError> {
        let mut before = None;
        loop {
            let page = self.list(instance, before, BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.grant.key);
            for key in &page {
                self.set_instance_name(&keys::listed_key(instance, key.grant.key), name)
                    .await?;
                for hash in key.hashes() {
                    self.set_instance_name(&keys::api_key(hash), name).await?;
                }
            }
        }
    }

    /// Revokes all keys of an instance. May be broken off and done again.
    pub async fn revoke_all(&self, instance: InstanceId, now: DateTime<Utc>) -> Result<(), StorageError> {
        loop {
            let page = self.list(instance, None, BATCH).await?;
            if page.is_empty() {
                return Ok(());
            }
            for key in &page {
                // One that is rotated meanwhile is in the list again.
                self.revoke(key, now).await?;
            }
        }
    }

    /// Revokes the keys of an instance, or only those whose present secret was shown to `user`; answers how many. May
    /// be broken off and done again.
    pub async fn revoke_shown_to(
        &self,
        instance: InstanceId,
        user: Option<UserId>,
        now: DateTime<Utc>,
    ) -> Result<u32, StorageError> {
        let mut revoked = 0;
        let mut before = None;
        loop {
            let page = self.list(instance, before, BATCH).await?;
            let Some(last) = page.last() else {
                return Ok(revoked);
            };
            before = Some(last.grant.key);
            for key in page {
                let mut present = Some(key);
                while let Some(key) = present.take() {
                    if user.is_some() && key.shown_to != user {
                        break;
                    }
                    match self.revoke(&key, now).await? {
                        KeyChanged::Done => revoked += 1,
                        // Rotated or gone meanwhile.
                        KeyChanged::Stale => present = self.get(instance, key.grant.key).await?,
                    }
                }
            }
        }
    }

    async fn set_instance_name(&self, key: &Key, name: &InstanceName) -> Result<(), StorageError> {
        let sent = self
            .table
            .update(key)
            .update_expression("SET instanceName = :name")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":name", text(name))
            .send()
            .await;
        // Revoked or run out meanwhile.
        held(sent)?;
        Ok(())
    }
}
