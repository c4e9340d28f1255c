//! Session state that can be shut for writing, and of which some entries were read early.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use shared::session_state::{Entry, Gone, Listed, Noted, Page, Recalled, SessionState};
use shared::storage::StorageError;
use tokio_util::sync::CancellationToken;

use super::early::{Early, Found};
use super::names::kind;
use super::patience::Patience;

/// Passes everything on until it is shut; then it refuses writes. The library's write-back caches and savers flush
/// when they end. A session that must store nothing more is shut here, below all of them.
///
/// It answers the first look at an entry that was read early. What has to be read waits for the state, where the reader can wait
/// (`patience`).
#[derive(Debug)]
pub struct Gate {
    state: Arc<dyn SessionState>,
    early: Early,
    patience: Arc<Patience>,
    shut: CancellationToken,
}

impl Gate {
    pub fn new(
        state: Arc<dyn SessionState>,
        early: Early,
        patience: Arc<Patience>,
        shut: CancellationToken,
    ) -> Self {
        Self {
            state,
            early,
            patience,
            shut,
        }
    }

    fn writable(&self) -> Result<(), StorageError> {
        if self.shut.is_cancelled() {
            Err(StorageError::Fenced)
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl SessionState for Gate {
    fn is_writable(&self) -> bool {
        self.writable().is_ok() && self.state.is_writable()
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        if let Some(Found(value)) = self.early.take(key) {
            return Ok(value);
        }
        self.patience.read(kind(key), || self.state.get(key)).await
    }

    async fn get_noted(&self, key: &str) -> Result<Option<(Vec<u8>, Option<i64>)>, StorageError> {
        self.patience.read(kind(key), || self.state.get_noted(key)).await
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let kind = keys.first().map_or("", |key| kind(key));
        self.patience.read(kind, || self.state.get_many(keys)).await
    }

    async fn put(&self, key: &str, value: &[u8], expires: Option<DateTime<Utc>>) -> Result<(), StorageError> {
        self.writable()?;
        self.early.forget([key]);
        self.state.put(key, value, expires).await
    }

    async fn put_many(&self, entries: Vec<Entry>) -> Result<(), StorageError> {
        self.writable()?;
        self.early.forget(entries.iter().map(|entry| entry.key.as_str()));
        self.state.put_many(entries).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.writable()?;
        self.early.forget([key]);
        self.state.delete(key).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StorageError> {
        self.writable()?;
        self.early.forget(keys.iter().map(String::as_str));
        self.state.delete_many(keys).await
    }

    async fn delete_remembered(&self, gone: &[Gone], remembered: TimeDelta) -> Result<(), StorageError> {
        self.writable()?;
        self.early.forget(gone.iter().map(|gone| gone.key.as_str()));
        self.state.delete_remembered(gone, remembered).await
    }

    async fn put_recalling(&self, entries: Vec<Noted>) -> Result<Vec<Recalled>, StorageError> {
        self.writable()?;
        self.early
            .forget(entries.iter().map(|noted| noted.entry.key.as_str()));
        self.state.put_recalling(entries).await
    }

    async fn is_deleted(&self, key: &str) -> Result<bool, StorageError> {
        self.patience.read(kind(key), || self.state.is_deleted(key)).await
    }

    async fn keys(&self, prefix: &str, after: Option<&str>) -> Result<Page<Listed>, StorageError> {
        self.patience
            .read(kind(prefix), || self.state.keys(prefix, after))
            .await
    }

    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page<(String, Vec<u8>)>, StorageError> {
        self.patience
            .read(kind(prefix), || self.state.page(prefix, after))
            .await
    }

    async fn clear(&self) -> Result<(), StorageError> {
        self.writable()?;
        self.early.forget_all();
        self.state.clear().await
    }
}
