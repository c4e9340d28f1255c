//! App state: sync keys, versions, and mutation MACs in 64 buckets for each collection.
//!
//! A first sync brings thousands of MACs of 64 bytes. With an entry for each, each would take a write unit.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use shared::session_state::Entry;
use wacore::appstate::hash::HashState;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{AppStateSyncKey, AppSyncStore};
use wacore_appstate::processor::AppStateMutationMAC;

use super::names::{name, prefix};
use super::pairs::{self, Pairs};
use super::{SessionStore, failed};

/// The entry that holds an index MAC: MACs are evenly spread over their first byte.
fn bucket(collection: &str, index_mac: &[u8]) -> String {
    let number = index_mac.first().copied().unwrap_or(0) >> 2;
    name("mac", &[collection, &format!("{number:02x}")])
}

impl SessionStore {
    async fn buckets(&self, names: Vec<String>) -> Result<BTreeMap<String, Pairs>> {
        let mut buckets = BTreeMap::new();
        for (name, bytes) in self.state.get_many(&names).await.map_err(failed)? {
            buckets.insert(name, pairs::decode(&bytes)?);
        }
        Ok(buckets)
    }
}

#[async_trait]
impl AppSyncStore for SessionStore {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        self.get_json(&name("ask", &[&hex::encode(key_id)])).await
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        // The key is written first, so that the latest id never names a missing one.
        self.put_json(&name("ask", &[&hex::encode(key_id)]), &key).await?;
        self.state.put("ask-latest", key_id, None).await.map_err(failed)
    }

    async fn get_version(&self, name_: &str) -> Result<HashState> {
        Ok(self.get_json(&name("asv", &[name_])).await?.unwrap_or_default())
    }

    async fn set_version(&self, name_: &str, state: HashState) -> Result<()> {
        if let Some(ahead) = &self.ahead {
            ahead.store(name_).await.map_err(StoreError::Database)?;
        }
        self.put_json(&name("asv", &[name_]), &state).await
    }

    async fn put_mutation_macs(
        &self,
        collection: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        let _alone = self.locks.mutation_macs.lock().await;
        let names = mutations
            .iter()
            .map(|mac| bucket(collection, &mac.index_mac))
            .collect();
        let mut buckets = self.buckets(names).await?;
        for mac in mutations {
            let pairs = buckets.entry(bucket(collection, &mac.index_mac)).or_default();
            pairs.insert(mac.index_mac.clone(), mac.value_mac.clone());
        }
        let mut entries = Vec::with_capacity(buckets.len());
        for (key, pairs) in &buckets {
            entries.push(Entry {
                key: key.clone(),
                value: pairs::encode(pairs)?,
                expires: None,
            });
        }
        self.state.put_many(entries).await.map_err(failed)
    }

    async fn get_mutation_mac(&self, collection: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        match self
            .state
            .get(&bucket(collection, index_mac))
            .await
            .map_err(failed)?
        {
            Some(bytes) => Ok(pairs::decode(&bytes)?.remove(index_mac)),
            None => Ok(None),
        }
    }

    async fn get_mutation_macs(
        &self,
        collection: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let buckets = self
            .buckets(index_macs.iter().map(|mac| bucket(collection, mac)).collect())
            .await?;
        let value = |mac: &[u8; 32]| {
            Some((
                *mac,
                buckets.get(&bucket(collection, mac))?.get(&mac[..])?.clone(),
            ))
        };
        Ok(index_macs.iter().filter_map(value).collect())
    }

    async fn delete_mutation_macs(&self, collection: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let _alone = self.locks.mutation_macs.lock().await;
        let names = index_macs.iter().map(|mac| bucket(collection, mac)).collect();
        let mut entries = Vec::new();
        for (key, mut pairs) in self.buckets(names).await? {
            let before = pairs.len();
            pairs.retain(|index_mac, _| !index_macs.contains(index_mac));
            if pairs.len() < before {
                entries.push(Entry {
                    key,
                    value: pairs::encode(&pairs)?,
                    expires: None,
                });
            }
        }
        self.state.put_many(entries).await.map_err(failed)
    }

    async fn clear_mutation_macs(&self, collection: &str) -> Result<()> {
        let _alone = self.locks.mutation_macs.lock().await;
        self.delete_each(&prefix("mac", &[collection]), |_| true).await?;
        Ok(())
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        self.state.get("ask-latest").await.map_err(failed)
    }
}
