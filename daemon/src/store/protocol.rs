//! Groups' sender key devices, LIDs, device lists, privacy tokens, and the two message
//! buffers.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use shared::session_state::{Before, Entry, Gone, MAX_VALUE_LENGTH, Noted, Recalled};
use shared::storage::StorageError;
use tracing::debug;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, TcTokenEntry,
};

use super::names::{last, name, prefix};
use super::oversize::{self, is_oversize};
use super::pairs::{self, Pairs};
use super::probe::is_probe;
use super::tokens::Stored;
use super::{
    BASE_KEY_TERM, COMMITTED_TERM, MissingInbound, PENDING_INBOUND_TERM, SENT_MESSAGE_TERM, SessionStore,
    corrupt, count, failed, from_json, stamped, to_json, unstamped,
};

/// The name of an incoming message's entry. It is a digest: the tombstone outlives the message and must not tell who
/// wrote to whom.
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

    /// Reads a token and writes back what `change` makes of it, if anything.
    async fn change_tc_token(
        &self,
        jid: &str,
        change: impl FnOnce(Option<TcTokenEntry>) -> Option<TcTokenEntry> + Send,
    ) -> Result<()> {
        let _alone = self.locks.tc_tokens.lock().await;
        let Some(changed) = change(self.tc_token(jid).await?) else {
            return Ok(());
        };
        let change = self.tokens.change(Some(jid));
        self.put_json(&name("tc", &[jid]), &changed).await?;
        change.done();
        self.tokens.learn(jid, Some(changed));
        Ok(())
    }

    /// What is stored for a person. The caller holds the lock.
    async fn tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        if let Some(Stored(known)) = self.tokens.of(jid) {
            return Ok(known);
        }
        let entry: Option<TcTokenEntry> = self.get_json(&name("tc", &[jid])).await?;
        self.tokens.learn(jid, entry.clone());
        Ok(entry)
    }

    /// Buffers incoming messages until they are committed. Where that fails, the client must be dropped: see
    /// [`SessionStore::inbound_lost`].
    async fn buffer_inbound(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let (now, expires) = (self.clock.now(), Some(self.expiry(PENDING_INBOUND_TERM)));
        let entry = |row: &PendingInboundRow<'_>, as_stub: bool| {
            let key = inbound(row.chat, row.sender, row.id);
            let received_at = self.received.note(&key, now);
            let value = if as_stub {
                stamped(received_at, &oversize::stub(row.message))
            } else {
                stamped(received_at, row.message)
            };
            Noted {
                entry: Entry { key, value, expires },
                note: received_at.timestamp_micros(),
            }
        };
        let as_they_fit = |row: &PendingInboundRow<'_>| entry(row, is_oversize(row.message.len()));
        // One that is refused for good is buffered as a stub.
        let put = async |row| match self.state.put_recalling(vec![as_they_fit(row)]).await {
            Err(error) if is_of_the_value(&error) => self.state.put_recalling(vec![entry(row, true)]).await,
            stored => stored,
        };
        let storing = async {
            let all = self
                .state
                .put_recalling(rows.iter().map(as_they_fit).collect())
                .await;
            let known = match all {
                Err(error) if is_of_the_value(&error) => {
                    let mut known = Vec::new();
                    for row in rows {
                        known.extend(put(row).await?);
                    }
                    known
                }
                stored => stored?,
            };
            let without_note = self.keep_times(known);
            for row in rows {
                if without_note.contains(&inbound(row.chat, row.sender, row.id)) {
                    match self.put_anew(as_they_fit(row)).await {
                        Err(error) if is_of_the_value(&error) => self.put_anew(entry(row, true)).await?,
                        stored => stored?,
                    }
                }
            }
            Ok(())
        };
        let stored: std::result::Result<(), StorageError> = storing.await;
        if stored.is_err() {
            self.shut();
            self.inbound_lost.cancel();
        }
        stored.map_err(failed)
    }

    /// These were buffered or committed before and come again, since their ratchet or their acknowledgement was lost. They
    /// keep the time at which they first came, and with it their ids. Answers those that had a value without a note. The put
    /// has given these a note that is later than their own time.
    fn keep_times(&self, known: Vec<Recalled>) -> Vec<String> {
        let mut without_note = Vec::new();
        for Recalled { key, before } in known {
            match before {
                Before::Note(note) => {
                    self.received.relearn(&key, Some(note));
                }
                // Buffered by an earlier build, which put no note beside it.
                Before::Value(stored) => {
                    if let Ok((received_at, _)) = unstamped(&stored) {
                        self.received.learn(&key, received_at);
                        without_note.push(key);
                    }
                }
            }
        }
        without_note
    }

    /// Buffers a message with this note, whatever note is there. The first write removes that one. Between the two the
    /// time is the value's own.
    async fn put_anew(&self, noted: Noted) -> std::result::Result<(), StorageError> {
        let Entry { key, value, expires } = &noted.entry;
        self.state.put(key, value, *expires).await?;
        self.state.put_recalling(vec![noted]).await?;
        Ok(())
    }

    /// Removes committed messages. Their commit, and the time at which they came, is remembered.
    async fn delete_committed(&self, names: Vec<String>) -> Result<()> {
        let gone: Vec<Gone> = names
            .into_iter()
            .map(|key| {
                let note = self.received.of(&key).map(|at| at.timestamp_micros());
                Gone { key, note }
            })
            .collect();
        self.state
            .delete_remembered(&gone, COMMITTED_TERM)
            .await
            .map_err(failed)?;
        for gone in &gone {
            self.received.forget(&gone.key);
        }
        Ok(())
    }

    /// When an incoming message came, if it is buffered and not yet committed. It is the same at every delivery.
    pub fn received_at(&self, chat: &str, sender: &str, id: &str) -> Option<DateTime<Utc>> {
        self.received.of(&inbound(chat, sender, id))
    }
}

/// Whether the store refused the value itself, so that another one may be stored in its place.
fn is_of_the_value(error: &StorageError) -> bool {
    matches!(error, StorageError::TooLarge(_) | StorageError::Refused(_))
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
