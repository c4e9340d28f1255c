//! The secrets of messages, by which reactions, edits and votes refer to them.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::DateTime;
use shared::session_state::Entry;
use wacore::store::error::Result;
use wacore::store::traits::{
    MessageSecret, MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry, merge_msg_secret_message_ts,
};

use super::names::{name, prefix};
use super::{SessionStore, corrupt, failed};

/// A secret with its deadline (0: none) and its message's time (0: unknown), in Unix
/// seconds.
struct Row {
    secret: MessageSecret,
    expires_at: i64,
    message_ts: i64,
}

impl Row {
    fn encode(&self) -> Vec<u8> {
        [
            &self.expires_at.to_be_bytes()[..],
            &self.message_ts.to_be_bytes(),
            &self.secret,
        ]
        .concat()
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let read = || {
            let (expires_at, rest) = bytes.split_first_chunk()?;
            let (message_ts, secret) = rest.split_first_chunk()?;
            Some(Self {
                secret: secret.try_into().ok()?,
                expires_at: i64::from_be_bytes(*expires_at),
                message_ts: i64::from_be_bytes(*message_ts),
            })
        };
        read().ok_or_else(|| corrupt("message secret"))
    }
}

impl SessionStore {
    async fn msg_secret(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<Row>> {
        let stored = self
            .state
            .get(&name("ms", &[chat, sender, msg_id]))
            .await
            .map_err(failed)?;
        stored.map(|bytes| Row::decode(&bytes)).transpose()
    }
}

#[async_trait]
impl MsgSecretStore for SessionStore {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let _alone = self.locks.msg_secrets.lock().await;
        let stored = entries.len();
        let names: Vec<String> = entries
            .iter()
            .map(|entry| name("ms", &[&entry.chat, &entry.sender, &entry.msg_id]))
            .collect();
        let mut rows: HashMap<String, Row> = HashMap::with_capacity(stored);
        for (name, bytes) in self.state.get_many(&names).await.map_err(failed)? {
            rows.insert(name, Row::decode(&bytes)?);
        }
        for (name, entry) in names.into_iter().zip(entries) {
            let existing = rows.get(&name);
            let merged = Row {
                secret: entry.secret,
                expires_at: existing.map_or(entry.expires_at, |row| {
                    merge_msg_secret_expiry(row.expires_at, entry.expires_at)
                }),
                message_ts: existing.map_or(entry.message_ts, |row| {
                    merge_msg_secret_message_ts(row.message_ts, entry.message_ts)
                }),
            };
            rows.insert(name, merged);
        }
        let entries = rows.into_iter().map(|(key, row)| Entry {
            key,
            value: row.encode(),
            expires: (row.expires_at != 0)
                .then(|| DateTime::from_timestamp(row.expires_at, 0))
                .flatten(),
        });
        self.state.put_many(entries.collect()).await.map_err(failed)?;
        Ok(stored)
    }

    async fn get_msg_secret(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self
            .msg_secret(chat, sender, msg_id)
            .await?
            .map(|row| row.secret.to_vec()))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        let row = self.msg_secret(chat, sender, msg_id).await?;
        Ok(row.map(|row| (row.secret.to_vec(), row.message_ts)))
    }

    /// Deletes nothing: entries whose deadline has passed have expired by themselves.
    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        if cutoff_timestamp <= self.clock.now().timestamp() {
            return Ok(0);
        }
        let _alone = self.locks.msg_secrets.lock().await;
        self.delete_each(&prefix("ms", &[]), |listed| {
            listed
                .expires
                .is_some_and(|expires| expires.timestamp() <= cutoff_timestamp)
        })
        .await
    }
}
