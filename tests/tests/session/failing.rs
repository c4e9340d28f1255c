//! Session state that fails as a test wants it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use shared::session_state::{Entry, Gone, Listed, Noted, Page, Recalled, SessionState};
use shared::storage::StorageError;
use testbed::wait::until;

/// Fails as it is told.
#[derive(Debug)]
pub struct Failing {
    inner: Arc<dyn SessionState>,
    /// Incoming messages are not buffered: that fails.
    pub refuse: AtomicBool,
    /// They pass for stored, as in a process that ends before it stores what it has decrypted.
    pub forget: AtomicBool,
    /// Nothing can be read.
    pub is_away: AtomicBool,
    /// Entries whose keys begin with this cannot be read; `None` where all can.
    pub unreadable: Mutex<Option<&'static str>>,
    /// Whether such a read fails in a way that passes, as if the table were away.
    pub passes: AtomicBool,
    /// How many reads have failed.
    pub failed: AtomicUsize,
}

impl Failing {
    /// One that fails nothing yet.
    pub fn new(inner: Arc<dyn SessionState>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            refuse: AtomicBool::default(),
            forget: AtomicBool::default(),
            is_away: AtomicBool::default(),
            unreadable: Mutex::default(),
            passes: AtomicBool::default(),
            failed: AtomicUsize::default(),
        })
    }

    /// Waits until a read has failed from now on.
    pub async fn fails(&self) {
        let before = self.failed.load(Ordering::SeqCst);
        until("a read that fails", async || {
            (self.failed.load(Ordering::SeqCst) > before).then_some(())
        })
        .await;
    }

    /// Nothing where it can be read.
    fn readable(&self, key: &str) -> Result<(), StorageError> {
        let unreadable = *self.unreadable.lock().expect("no holder panics");
        let error = match unreadable {
            _ if self.is_away.load(Ordering::SeqCst) => unavailable(),
            Some(unreadable) if !key.starts_with(unreadable) => return Ok(()),
            Some(_) if self.passes.load(Ordering::SeqCst) => unavailable(),
            Some(_) => StorageError::Unknown("as the test wants it".into()),
            None => return Ok(()),
        };
        self.failed.fetch_add(1, Ordering::SeqCst);
        Err(error)
    }

    /// Whether a value of `key` is to be stored.
    fn stores(&self, key: &str) -> Result<bool, StorageError> {
        if !key.starts_with("in#") {
            return Ok(true);
        }
        if self.refuse.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        Ok(!self.forget.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl SessionState for Failing {
    fn is_writable(&self) -> bool {
        self.inner.is_writable()
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.readable(key)?;
        self.inner.get(key).await
    }

    async fn get_noted(&self, key: &str) -> Result<Option<(Vec<u8>, Option<i64>)>, StorageError> {
        self.readable(key)?;
        self.inner.get_noted(key).await
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        for key in keys {
            self.readable(key)?;
        }
        self.inner.get_many(keys).await
    }

    async fn put(&self, key: &str, value: &[u8], expires: Option<DateTime<Utc>>) -> Result<(), StorageError> {
        if self.stores(key)? {
            self.inner.put(key, value, expires).await?;
        }
        Ok(())
    }

    async fn put_many(&self, entries: Vec<Entry>) -> Result<(), StorageError> {
        let mut stored = Vec::new();
        for entry in entries {
            if self.stores(&entry.key)? {
                stored.push(entry);
            }
        }
        self.inner.put_many(stored).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.inner.delete(key).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StorageError> {
        self.inner.delete_many(keys).await
    }

    async fn delete_remembered(&self, gone: &[Gone], remembered: TimeDelta) -> Result<(), StorageError> {
        self.inner.delete_remembered(gone, remembered).await
    }

    async fn put_recalling(&self, entries: Vec<Noted>) -> Result<Vec<Recalled>, StorageError> {
        let mut stored = Vec::new();
        for noted in entries {
            if self.stores(&noted.entry.key)? {
                stored.push(noted);
            }
        }
        self.inner.put_recalling(stored).await
    }

    async fn is_deleted(&self, key: &str) -> Result<bool, StorageError> {
        self.readable(key)?;
        self.inner.is_deleted(key).await
    }

    async fn keys(&self, prefix: &str, after: Option<&str>) -> Result<Page<Listed>, StorageError> {
        self.readable(prefix)?;
        self.inner.keys(prefix, after).await
    }

    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page<(String, Vec<u8>)>, StorageError> {
        self.readable(prefix)?;
        self.inner.page(prefix, after).await
    }

    async fn clear(&self) -> Result<(), StorageError> {
        self.inner.clear().await
    }
}

fn unavailable() -> StorageError {
    StorageError::Unavailable("as the test wants it".into())
}
