//! Groups' sender key devices, LIDs, device lists, privacy tokens, and the two message
//! buffers.

mod incoming;
mod tc_tokens;

use async_trait::async_trait;
use shared::session_state::{Entry, MAX_VALUE_LENGTH};
use shared::storage::StorageError;
use tracing::debug;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, TcTokenEntry,
};

use self::incoming::inbound;
use super::names::{last, name, prefix};
use super::pairs::{self, Pairs};
use super::probe::is_probe;
use super::tokens::Stored;
use super::{
    BASE_KEY_TERM, MissingInbound, PENDING_INBOUND_TERM, SENT_MESSAGE_TERM, SessionStore, corrupt, count,
    failed, from_json, stamped, to_json, unstamped,
};

impl SessionStore {
    async fn sender_key_devices(&self, group_jid: &str) -> Result<Pairs> {
        match self.state.get(&name("skd", &[group_jid])).await.map_err(failed)? {
            Some(bytes) => pairs::decode(&bytes),
            None => Ok(Pairs::new()),
        }
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
        // If it is forgotten, the next message brings the key to all devices again.
        self.put_or_forget(vec![Entry {
            key: name("skd", &[group_jid]),
            value: pairs::encode(&devices)?,
            expires: None,
        }])
        .await
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
        // No key tells which groups a device is in, so all entries are read, a page at a time.
        let mut after = None;
        loop {
            let page = self.state.page(&prefix("skd", &[]), after.as_deref()).await;
            let page = page.map_err(failed)?;
            let mut changed = Vec::new();
            for (key, bytes) in page.items {
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
            self.state.put_many(changed).await.map_err(failed)?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        let _alone = self.locks.sender_key_devices.lock().await;
        self.delete_each(&prefix("skd", &[]), |_| true).await?;
        Ok(())
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        self.get_json(&name("lid", &[lid])).await
    }

    /// A phone number's entry names the LID that it was last seen with. The LID's entry decides whether the two still
    /// belong together, so that a LID can change its number in one write.
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
        // Of two mappings for one LID, the last counts.
        let (mut lids, mut phones) = (Vec::new(), Vec::new());
        for (index, entry) in entries.iter().enumerate() {
            let later = &entries[index + 1..];
            if !later.iter().any(|other| other.lid == entry.lid) {
                lids.push(Entry {
                    key: name("lid", &[&entry.lid]),
                    value: to_json(entry)?,
                    expires: None,
                });
            }
            if !later.iter().any(|other| other.phone_number == entry.phone_number) {
                phones.push(Entry {
                    key: name("pn", &[&entry.phone_number]),
                    value: entry.lid.as_bytes().to_vec(),
                    expires: None,
                });
            }
        }
        // LIDs first. Otherwise a phone number could name a new LID that is not stored yet: it would lead nowhere, though it led
        // to its old LID before.
        self.state.put_many(lids).await.map_err(failed)?;
        self.state.put_many(phones).await.map_err(failed)
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let (mut mappings, mut after) = (Vec::new(), None);
        loop {
            let page = self.state.page(&prefix("lid", &[]), after.as_deref()).await;
            let page = page.map_err(failed)?;
            for (_, bytes) in &page.items {
                mappings.push(from_json(bytes)?);
            }
            after = page.next;
            if after.is_none() {
                return Ok(mappings);
            }
        }
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
        self.update_device_lists(vec![record]).await
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
        self.put_or_forget(entries).await
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
        self.put_or_forget(vec![Entry {
            key: name("grp", &[group_jid]),
            value: blob.to_vec(),
            expires: None,
        }])
        .await
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.state
            .delete(&name("grp", &[group_jid]))
            .await
            .map_err(failed)
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        if let Some(Stored(known)) = self.tokens.of(jid) {
            return Ok(known);
        }
        let _alone = self.locks.tc_tokens.lock().await;
        self.tc_token(jid).await
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        self.change_tc_token(jid, |_| Some(entry.clone())).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        let _alone = self.locks.tc_tokens.lock().await;
        let change = self.tokens.change(Some(jid));
        self.state.delete(&name("tc", &[jid])).await.map_err(failed)?;
        change.done();
        Ok(())
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let (mut jids, mut after) = (Vec::new(), None);
        loop {
            let page = self.state.keys(&prefix("tc", &[]), after.as_deref()).await;
            let page = page.map_err(failed)?;
            jids.extend(page.items.iter().map(|listed| last(&listed.key).to_owned()));
            after = page.next;
            if after.is_none() {
                return Ok(jids);
            }
        }
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let _alone = self.locks.tc_tokens.lock().await;
        let (mut deleted, mut after) = (0, None);
        loop {
            let page = self.state.page(&prefix("tc", &[]), after.as_deref()).await;
            let page = page.map_err(failed)?;
            let mut stale = Vec::new();
            for (name, bytes) in page.items {
                let entry: TcTokenEntry = from_json(&bytes)?;
                let received = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
                let issued = entry
                    .sender_timestamp
                    .is_some_and(|issued| issued >= sender_cutoff);
                if !received && !issued {
                    stale.push(name);
                }
            }
            let change = self.tokens.change(None);
            self.state.delete_many(&stale).await.map_err(failed)?;
            change.done();
            deleted += stale.len();
            after = page.next;
            if after.is_none() {
                return Ok(count(deleted));
            }
        }
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
        if value.len() > MAX_VALUE_LENGTH {
            // The message goes out all the same. A device that cannot read it is answered from memory, or not at all.
            debug!("a sent message is too large to be kept for retries");
            return Ok(());
        }
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
        let message = unstamped(&stored)?.1.to_vec();
        match self.state.delete(&name).await {
            Ok(()) => {}
            // Another owner answers retries now.
            Err(error @ StorageError::Fenced) => return Err(failed(error)),
            // The library asks once for each receipt, so a message that is held back here would be lost. One that stays is
            // taken again at worst, and expires by itself.
            Err(error) => debug!(
                error = &error as &dyn std::error::Error,
                "a sent message was taken and could not be deleted"
            ),
        }
        Ok(Some(message))
    }

    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        if self.has_expired(cutoff_timestamp, SENT_MESSAGE_TERM) {
            return Ok(0);
        }
        self.delete_written_before(&prefix("sent", &[]), cutoff_timestamp, SENT_MESSAGE_TERM)
            .await
    }

    async fn store_pending_inbound(&self, chat: &str, sender: &str, id: &str, message: &[u8]) -> Result<()> {
        if is_probe(chat, sender, id) {
            self.writable()?;
            self.probes.keep(id, message);
            return Ok(());
        }
        self.buffer_inbound(&[PendingInboundRow {
            chat,
            sender,
            id,
            message,
        }])
        .await
    }

    async fn get_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Vec<u8>>> {
        if is_probe(chat, sender, id)
            && let Some(probe) = self.probes.kept(id)
        {
            return Ok(Some(probe));
        }
        let key = inbound(chat, sender, id);
        if let Some((stored, note)) = self.state.get_noted(&key).await.map_err(failed)? {
            let (buffered_at, message) = unstamped(&stored)?;
            // The note is older where the message was committed before, and came again.
            if !self.received.relearn(&key, note) {
                self.received.learn(&key, buffered_at);
            }
            return Ok(Some(message.to_vec()));
        }
        let Some(missing) = &self.missing else {
            return Ok(None);
        };
        if self.state.is_deleted(&key).await.map_err(failed)? {
            return Ok(None);
        }
        // Where too many wait already it is not taken: it stays unacknowledged and comes again.
        let _ = missing.try_send(Box::new(MissingInbound {
            chat: chat.to_owned(),
            sender: sender.to_owned(),
            id: id.to_owned(),
        }));
        Err(StoreError::Validation(
            "the message was decrypted before and neither buffered nor committed".to_owned(),
        ))
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        if is_probe(chat, sender, id) && self.probes.forget(id) {
            return self.writable();
        }
        self.delete_committed(vec![inbound(chat, sender, id)]).await
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> Result<u32> {
        if self.has_expired(cutoff_timestamp, PENDING_INBOUND_TERM) {
            return Ok(0);
        }
        self.delete_written_before(&prefix("in", &[]), cutoff_timestamp, PENDING_INBOUND_TERM)
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
        self.delete_committed(names).await
    }
}
