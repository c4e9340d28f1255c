//! Groups' sender key devices, LIDs, device lists, privacy tokens, and the two message
//! buffers.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use shared::session_state::Entry;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, TcTokenEntry,
};

use super::names::{last, name, prefix};
use super::pairs::{self, Pairs};
use super::{
    BASE_KEY_TERM, COMMITTED_TERM, MissingInbound, PENDING_INBOUND_TERM, SENT_MESSAGE_TERM, SessionStore,
    corrupt, count, failed, from_json, stamped, to_json, unstamped,
};

/// The name of an incoming message's entry: a digest, since the memory of its commit outlives the message and must not
/// tell who wrote to whom.
fn inbound(chat: &str, sender: &str, id: &str) -> String {
    let digest = Sha256::digest(name("in", &[chat, sender, id]));
    name("in", &[&hex::encode(digest)])
}

impl SessionStore {
    async fn sender_key_devices(&self, group_jid: &str) -> Result<Pairs> {
        match self.state.get(&name("skd", &[group_jid])).await.map_err(failed)? {
            Some(bytes) => pairs::decode(&bytes),
            None => Ok(Pairs::new()),
        }
    }

    /// Reads a token, changes it and writes it back where `change` answers one.
    async fn change_tc_token(
        &self,
        jid: &str,
        change: impl FnOnce(Option<TcTokenEntry>) -> Option<TcTokenEntry> + Send,
    ) -> Result<()> {
        let _alone = self.locks.tc_tokens.lock().await;
        match change(self.get_tc_token(jid).await?) {
            Some(changed) => self.put_json(&name("tc", &[jid]), &changed).await,
            None => Ok(()),
        }
    }

    /// Puts incoming messages away until they are committed. Where that fails, the client
    /// must go: see [`SessionStore::inbound_lost`].
    async fn buffer_inbound(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let now = self.clock.now();
        let expires = Some(self.expiry(PENDING_INBOUND_TERM));
        let entry = |row: &PendingInboundRow<'_>| Entry {
            key: inbound(row.chat, row.sender, row.id),
            value: stamped(now, row.message),
            expires,
        };
        let stored = self.state.put_many(rows.iter().map(entry).collect()).await;
        if stored.is_err() {
            self.shut();
            self.inbound_lost.cancel();
        }
        stored.map_err(failed)
    }
}

#[async_trait]
impl ProtocolStore for SessionStore {
    async fn get_sender_key_devices(&self, group_jid: &str) -> Result<Vec<(String, bool)>> {
        let devices = self.sender_key_devices(group_jid).await?;
        let device = |(jid, has_key): (Vec<u8>, Vec<u8>)| {
            let jid = String::from_utf8(jid).map_err(|_| corrupt("sender key device"))?;
            Ok((jid, has_key == [1]))
        };
        devices.into_iter().map(device).collect()
    }

    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> Result<()> {
        let _alone = self.locks.sender_key_devices.lock().await;
        let before = self.sender_key_devices(group_jid).await?;
        let mut devices = before.clone();
        for (device, has_key) in entries {
            devices.insert(device.as_bytes().to_vec(), vec![u8::from(*has_key)]);
        }
        if devices == before {
            return Ok(());
        }
        self.state
            .put(&name("skd", &[group_jid]), &pairs::encode(&devices)?, None)
            .await
            .map_err(failed)
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> Result<()> {
        let _alone = self.locks.sender_key_devices.lock().await;
        self.state
            .delete(&name("skd", &[group_jid]))
            .await
            .map_err(failed)
    }

    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> Result<()> {
        if device_jids.is_empty() {
            return Ok(());
        }
        let _alone = self.locks.sender_key_devices.lock().await;
        let mut changed = Vec::new();
        for (key, bytes) in self.state.scan(&prefix("skd", &[])).await.map_err(failed)? {
            let mut devices = pairs::decode(&bytes)?;
            let before = devices.len();
            devices.retain(|jid, _| !device_jids.iter().any(|gone| gone.as_bytes() == jid));
            if devices.len() < before {
                changed.push(Entry {
                    key,
                    value: pairs::encode(&devices)?,
                    expires: None,
                });
            }
        }
        self.state.put_many(changed).await.map_err(failed)
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        let _alone = self.locks.sender_key_devices.lock().await;
        let groups = self.state.scan(&prefix("skd", &[])).await.map_err(failed)?;
        let names: Vec<String> = groups.into_iter().map(|(name, _)| name).collect();
        self.state.delete_many(&names).await.map_err(failed)
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        self.get_json(&name("lid", &[lid])).await
    }

    /// A phone number's entry names the LID that it was last seen with. Whether the two
    /// still belong together is the LID's entry to say, so that a LID can change its number
    /// in one write.
    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        let Some(lid) = self.state.get(&name("pn", &[phone])).await.map_err(failed)? else {
            return Ok(None);
        };
        let lid = String::from_utf8(lid).map_err(|_| corrupt("LID"))?;
        Ok(self
            .get_lid_mapping(&lid)
            .await?
            .filter(|entry| entry.phone_number == phone))
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        // In order of the sequence: of two mappings for one LID, the last counts.
        let mut writes = Vec::with_capacity(2 * entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let later = &entries[index + 1..];
            if !later.iter().any(|other| other.lid == entry.lid) {
                writes.push(Entry {
                    key: name("lid", &[&entry.lid]),
                    value: to_json(entry)?,
                    expires: None,
                });
            }
            if !later.iter().any(|other| other.phone_number == entry.phone_number) {
                let key = name("pn", &[&entry.phone_number]);
                writes.push(Entry {
                    key,
                    value: entry.lid.as_bytes().to_vec(),
                    expires: None,
                });
            }
        }
        self.state.put_many(writes).await.map_err(failed)
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let mappings = self.state.scan(&prefix("lid", &[])).await.map_err(failed)?;
        mappings.iter().map(|(_, bytes)| from_json(bytes)).collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> Result<()> {
        let expires = Some(self.expiry(BASE_KEY_TERM));
        self.state
            .put(&name("bk", &[address, message_id]), base_key, expires)
            .await
            .map_err(failed)
    }

    async fn has_same_base_key(
        &self,
        address: &str,
        message_id: &str,
        current_base_key: &[u8],
    ) -> Result<bool> {
        let saved = self
            .state
            .get(&name("bk", &[address, message_id]))
            .await
            .map_err(failed)?;
        Ok(saved.is_some_and(|saved| saved == current_base_key))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        self.state
            .delete(&name("bk", &[address, message_id]))
            .await
            .map_err(failed)
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.put_json(&name("dev", &[&record.user]), &record).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        let mut entries: Vec<Entry> = Vec::with_capacity(records.len());
        for record in records {
            let key = name("dev", &[&record.user]);
            entries.retain(|entry| entry.key != key);
            entries.push(Entry {
                key,
                value: to_json(&record)?,
                expires: None,
            });
        }
        self.state.put_many(entries).await.map_err(failed)
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        self.get_json(&name("dev", &[user])).await
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        self.state.delete(&name("dev", &[user])).await.map_err(failed)
    }

    async fn get_group_metadata(&self, group_jid: &str) -> Result<Option<Vec<u8>>> {
        self.state.get(&name("grp", &[group_jid])).await.map_err(failed)
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> Result<()> {
        self.state
            .put(&name("grp", &[group_jid]), blob, None)
            .await
            .map_err(failed)
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.state
            .delete(&name("grp", &[group_jid]))
            .await
            .map_err(failed)
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        self.get_json(&name("tc", &[jid])).await
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        self.change_tc_token(jid, |_| Some(entry.clone())).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        let _alone = self.locks.tc_tokens.lock().await;
        self.state.delete(&name("tc", &[jid])).await.map_err(failed)
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let tokens = self.state.scan(&prefix("tc", &[])).await.map_err(failed)?;
        Ok(tokens.iter().map(|(name, _)| last(name).to_owned()).collect())
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let _alone = self.locks.tc_tokens.lock().await;
        let mut stale = Vec::new();
        for (name, bytes) in self.state.scan(&prefix("tc", &[])).await.map_err(failed)? {
            let entry: TcTokenEntry = from_json(&bytes)?;
            let received = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
            let issued = entry
                .sender_timestamp
                .is_some_and(|issued| issued >= sender_cutoff);
            if !received && !issued {
                stale.push(name);
            }
        }
        self.state.delete_many(&stale).await.map_err(failed)?;
        Ok(count(stale.len()))
    }

    async fn touch_tc_token_sender_timestamp(&self, jid: &str, sender_timestamp: i64) -> Result<()> {
        self.change_tc_token(jid, |existing| match existing {
            Some(entry)
                if entry
                    .sender_timestamp
                    .is_some_and(|issued| issued >= sender_timestamp) =>
            {
                None
            }
            Some(entry) => Some(TcTokenEntry {
                sender_timestamp: Some(sender_timestamp),
                ..entry
            }),
            None => Some(TcTokenEntry {
                token: Vec::new(),
                token_timestamp: sender_timestamp,
                sender_timestamp: Some(sender_timestamp),
            }),
        })
        .await
    }

    async fn store_received_tc_token(&self, jid: &str, token: &[u8], token_timestamp: i64) -> Result<()> {
        self.change_tc_token(jid, |existing| {
            let newer =
                |entry: &TcTokenEntry| !entry.token.is_empty() && token_timestamp < entry.token_timestamp;
            if existing.as_ref().is_some_and(newer) {
                return None;
            }
            let sender_timestamp = existing.and_then(|entry| entry.sender_timestamp);
            Some(TcTokenEntry {
                token: token.to_vec(),
                token_timestamp,
                sender_timestamp,
            })
        })
        .await
    }

    async fn store_sent_message(&self, chat_jid: &str, message_id: &str, payload: &[u8]) -> Result<()> {
        let value = stamped(self.clock.now(), payload);
        let expires = Some(self.expiry(SENT_MESSAGE_TERM));
        self.state
            .put(&name("sent", &[chat_jid, message_id]), &value, expires)
            .await
            .map_err(failed)
    }

    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        let _alone = self.locks.sent_messages.lock().await;
        let name = name("sent", &[chat_jid, message_id]);
        let Some(stored) = self.state.get(&name).await.map_err(failed)? else {
            return Ok(None);
        };
        self.state.delete(&name).await.map_err(failed)?;
        Ok(Some(unstamped(&stored)?.1.to_vec()))
    }

    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        if self.has_expired(cutoff_timestamp, SENT_MESSAGE_TERM) {
            return Ok(0);
        }
        self.delete_written_before(&prefix("sent", &[]), cutoff_timestamp)
            .await
    }

    async fn store_pending_inbound(&self, chat: &str, sender: &str, id: &str, message: &[u8]) -> Result<()> {
        self.buffer_inbound(&[PendingInboundRow {
            chat,
            sender,
            id,
            message,
        }])
        .await
    }

    async fn get_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Vec<u8>>> {
        let key = inbound(chat, sender, id);
        if let Some(stored) = self.state.get(&key).await.map_err(failed)? {
            return Ok(Some(unstamped(&stored)?.1.to_vec()));
        }
        let Some(missing) = &self.missing else {
            return Ok(None);
        };
        if self.state.is_deleted(&key).await.map_err(failed)? {
            return Ok(None);
        }
        // Not taken where many wait already: it stays unacknowledged and comes again.
        let _ = missing.try_send(MissingInbound {
            chat: chat.to_owned(),
            sender: sender.to_owned(),
            id: id.to_owned(),
        });
        Err(StoreError::Validation(
            "the message was decrypted before and neither buffered nor committed".to_owned(),
        ))
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.state
            .delete(&inbound(chat, sender, id))
            .await
            .map_err(failed)
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> Result<u32> {
        if self.has_expired(cutoff_timestamp, PENDING_INBOUND_TERM) {
            return Ok(0);
        }
        self.delete_written_before(&prefix("in", &[]), cutoff_timestamp)
            .await
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        self.buffer_inbound(rows).await
    }

    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let names: Vec<String> = keys
            .iter()
            .map(|key| inbound(key.chat, key.sender, key.id))
            .collect();
        self.state
            .delete_remembered(&names, COMMITTED_TERM)
            .await
            .map_err(failed)
    }
}
