//! Identities, sessions, prekeys and sender keys.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use shared::session_state::Entry;
use wacore::store::error::Result;
use wacore::store::traits::SignalStore;

use super::names::{last, name, prefix};
use super::{SessionStore, corrupt, failed};

/// The name of the entry of the session with the device that has this address.
pub fn session_entry(address: &str) -> String {
    name("s", &[address])
}

impl SessionStore {
    async fn put_all<V: AsRef<[u8]> + Sync>(&self, kind: &str, values: &[(Arc<str>, V)]) -> Result<()> {
        let entry = |(address, value): &(Arc<str>, V)| Entry {
            key: name(kind, &[address]),
            value: value.as_ref().to_vec(),
            expires: None,
        };
        let entries: Vec<Entry> = values.iter().map(entry).collect();
        let names: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        let write = self.devices.write(&names);
        // A session or a sender key that is gone is agreed upon anew, upon a retry receipt to its owner.
        self.put_or_forget(entries).await?;
        write.done();
        Ok(())
    }

    /// Stores the session steps that are only in memory: for the end of a session.
    pub async fn store_deferred(&self) -> Result<()> {
        let _alone = self.locks.sessions.lock().await;
        let unstored = self.deferred.unstored().into_iter();
        let unstored: Vec<(Arc<str>, Bytes)> = unstored
            .map(|(address, record)| (Arc::from(address), record))
            .collect();
        self.put_all("s", &unstored).await?;
        for (address, record) in &unstored {
            self.deferred.stored(address, record);
        }
        Ok(())
    }

    async fn put_one(&self, kind: &str, part: &str, value: &[u8]) -> Result<()> {
        let names = [name(kind, &[part])];
        let write = self.devices.write(&names);
        self.state.put(&names[0], value, None).await.map_err(failed)?;
        write.done();
        Ok(())
    }

    async fn get_one(&self, kind: &str, part: &str) -> Result<Option<Vec<u8>>> {
        self.state.get(&name(kind, &[part])).await.map_err(failed)
    }

    /// The same of a device's address. It reads nothing where it is known that nothing is stored for that device.
    async fn get_of_device(&self, kind: &str, address: &str) -> Result<Option<Vec<u8>>> {
        let name = name(kind, &[address]);
        if self.devices.is_missing(&name) {
            return Ok(None);
        }
        let found = self.state.get(&name).await.map_err(failed)?;
        if found.is_none()
            && let Some((user, writes)) = self.devices.missed(&name)
        {
            let page = self.state.keys(user, None).await.map_err(failed)?;
            if page.next.is_none() {
                let entries = page.items.into_iter().map(|listed| listed.key);
                self.devices.listed(user, writes, entries.collect());
            }
        }
        Ok(found)
    }

    async fn delete_one(&self, kind: &str, part: &str) -> Result<()> {
        self.state.delete(&name(kind, &[part])).await.map_err(failed)
    }
}

#[async_trait]
impl SignalStore for SessionStore {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put_one("id", address, &key).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        self.put_all("id", identities).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        match self.get_of_device("id", address).await? {
            Some(bytes) => Ok(Some(bytes.try_into().map_err(|_| corrupt("identity"))?)),
            None => Ok(None),
        }
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.delete_one("id", address).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        if let Some(latest) = self.deferred.latest(address) {
            return Ok(Some(latest));
        }
        Ok(self.get_of_device("s", address).await?.map(Bytes::from))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put_sessions_batch(&[(Arc::from(address), Bytes::copy_from_slice(session))])
            .await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        let _alone = self.locks.sessions.lock().await;
        let unkept = |(address, record): &&(Arc<str>, Bytes)| !self.deferred.keep(address, record);
        let unkept: Vec<(Arc<str>, Bytes)> = sessions.iter().filter(unkept).cloned().collect();
        if unkept.is_empty() {
            return Ok(());
        }
        for (address, _) in &unkept {
            // Nobody knows yet what was stored.
            self.deferred.forget(address);
        }
        self.put_all("s", &unkept).await?;
        for (address, record) in &unkept {
            self.deferred.stored(address, record);
        }
        Ok(())
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        let _alone = self.locks.sessions.lock().await;
        // A deletion that is told to have failed may land later. No step may rest on the stored record alone then.
        self.deferred.forget(address);
        self.delete_one("s", address).await
    }

    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        // Device 0 has no suffix: `<user>@<server>`, `<user>:<device>@<server>`.
        let user = name("", &[user]);
        for kind in ["s", "id"] {
            for separator in ['@', ':'] {
                let prefix = format!("{kind}{user}{separator}");
                let mut after = None;
                loop {
                    let page = self.state.keys(&prefix, after.as_deref()).await.map_err(failed)?;
                    if !page.items.is_empty() {
                        return Ok(true);
                    }
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(false)
    }

    async fn store_prekey(&self, id: u32, record: &[u8], uploaded: bool) -> Result<()> {
        self.prekeys
            .store(&[(id, Bytes::copy_from_slice(record))], uploaded)
            .await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], uploaded: bool) -> Result<()> {
        self.prekeys.store(keys, uploaded).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        Ok(self.prekeys.load(&[id]).await?.pop().map(|(_, record)| record))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        self.prekeys.load(ids).await
    }

    async fn mark_prekeys_uploaded(&self, ids: &[u32]) -> Result<()> {
        self.prekeys.mark_uploaded(ids).await
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.prekeys.remove(id).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        self.prekeys.max_id().await
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.put_one("spk", &id.to_string(), record).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        self.get_one("spk", &id.to_string()).await
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let mut records = Vec::new();
        for (name, record) in self.state.scan(&prefix("spk", &[])).await.map_err(failed)? {
            let id = last(&name).parse().map_err(|_| corrupt("signed prekey"))?;
            records.push((id, record));
        }
        Ok(records)
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.delete_one("spk", &id.to_string()).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put_all("sk", &[(Arc::from(address), record)]).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_all("sk", sender_keys).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        self.get_one("sk", address).await
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.delete_one("sk", address).await
    }
}
