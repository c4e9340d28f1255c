//! Counts what session state writes, in write units.

use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use shared::session_state::{Entry, SessionState};
use shared::storage::StorageError;

/// What an item has besides the entry's own name and value: its partition key, the names
/// and numbers of its attributes, and the seal.
const OVERHEAD: usize = 2 + 36 + 2 + (5 + 5) + (3 + 10) + 1 + (3 + 7) + 29;

/// Passes everything on and keeps a list of the writes: kind of entry, and write units.
#[derive(Debug)]
pub struct Meter {
    inner: Arc<dyn SessionState>,
    pub writes: Mutex<Vec<(String, usize)>>,
}

impl Meter {
    pub fn new(inner: Arc<dyn SessionState>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            writes: Mutex::default(),
        })
    }

    fn count(&self, key: &str, value: usize) {
        let kind = key.split('#').next().unwrap_or_default().to_owned();
        let units = (OVERHEAD + key.len() + value).div_ceil(1_024);
        self.writes.lock().expect("no holder panics").push((kind, units));
    }

    /// The write units since this was last asked, by kind.
    pub fn take(&self) -> std::collections::BTreeMap<String, (usize, usize)> {
        let mut by_kind = std::collections::BTreeMap::new();
        for (kind, units) in self.writes.lock().expect("no holder panics").drain(..) {
            let entry: &mut (usize, usize) = by_kind.entry(kind).or_default();
            entry.0 += 1;
            entry.1 += units;
        }
        by_kind
    }
}

#[async_trait]
impl SessionState for Meter {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        self.inner.get_many(keys).await
    }

    async fn put(&self, key: &str, value: &[u8], expires: Option<DateTime<Utc>>) -> Result<(), StorageError> {
        self.count(key, value.len());
        self.inner.put(key, value, expires).await
    }

    async fn put_many(&self, entries: Vec<Entry>) -> Result<(), StorageError> {
        for entry in &entries {
            self.count(&entry.key, entry.value.len());
        }
        self.inner.put_many(entries).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.count(key, 0);
        self.inner.delete(key).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StorageError> {
        for key in keys {
            self.count(key, 0);
        }
        self.inner.delete_many(keys).await
    }

    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        self.inner.scan(prefix).await
    }

    async fn clear(&self) -> Result<(), StorageError> {
        self.inner.clear().await
    }
}
