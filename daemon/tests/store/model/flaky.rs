//! Session state whose calls fail as a test wants it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use shared::session_state::{Entry, Gone, Listed, Noted, Page, Recalled, SessionState};
use shared::storage::StorageError;

type Result<T> = std::result::Result<T, StorageError>;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The store asks for fewer calls; nothing happened.
    Throttled,
    /// No answer came; nothing happened.
    TimedOut,
    /// No answer came; it took effect.
    Lost,
    /// No answer came; of several entries, those took effect whose bit is set. They are written several at a time, so
    /// they may be any.
    Torn(u8),
}

/// Which of the next calls fails, and how.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Option<(u8, Fault)>>>);

impl Faults {
    /// The call after so many others fails.
    pub fn arm(&self, after: u8, fault: Fault) {
        *self.0.lock().expect("no holder panics") = Some((after, fault));
    }

    /// From now on no call fails. Answers whether the one that was armed for did.
    pub fn disarm(&self) -> bool {
        self.0.lock().expect("no holder panics").take().is_none()
    }

    fn of_this_call(&self) -> Option<Fault> {
        let mut armed = self.0.lock().expect("no holder panics");
        match &mut *armed {
            Some((0, fault)) => {
                let fault = *fault;
                *armed = None;
                Some(fault)
            }
            Some((after, _)) => {
                *after -= 1;
                None
            }
            None => None,
        }
    }
}

/// Session state through [`Faults`].
#[derive(Debug)]
pub struct Flaky {
    state: Arc<dyn SessionState>,
    faults: Faults,
}

impl Flaky {
    pub fn new(state: Arc<dyn SessionState>, faults: Faults) -> Self {
        Self { state, faults }
    }

    async fn read<T>(&self, reading: impl Future<Output = Result<T>>) -> Result<T> {
        match self.faults.of_this_call() {
            None => reading.await,
            Some(Fault::Throttled) => Err(throttled()),
            Some(_) => Err(unanswered()),
        }
    }

    /// A write that takes effect as a whole or not at all.
    async fn whole<F: Future<Output = Result<()>>>(&self, write: impl Fn() -> F) -> Result<()> {
        match self.faults.of_this_call() {
            None => write().await,
            Some(Fault::Throttled) => Err(throttled()),
            Some(Fault::TimedOut) => Err(unanswered()),
            Some(Fault::Lost | Fault::Torn(_)) => {
                write().await?;
                Err(unanswered())
            }
        }
    }

    /// A write of several entries.
    async fn write<E: Clone, T, F: Future<Output = Result<T>>>(
        &self,
        entries: Vec<E>,
        write: impl Fn(Vec<E>) -> F,
    ) -> Result<T> {
        match self.faults.of_this_call() {
            None => write(entries).await,
            Some(Fault::Throttled) => Err(throttled()),
            Some(Fault::TimedOut) => Err(unanswered()),
            Some(Fault::Lost) => {
                write(entries).await?;
                Err(unanswered())
            }
            Some(Fault::Torn(parts)) => {
                write(some(&entries, parts)).await?;
                Err(unanswered())
            }
        }
    }
}

fn throttled() -> StorageError {
    StorageError::Throttled("as the test wants it".into())
}

fn unanswered() -> StorageError {
    StorageError::Unavailable("as the test wants it".into())
}

/// Those whose bit is set.
fn some<T: Clone>(all: &[T], parts: u8) -> Vec<T> {
    let is_set = |(place, _): &(usize, &T)| (parts >> (place % 8)) & 1 == 1;
    let set = all.iter().enumerate().filter(is_set);
    set.map(|(_, one)| one.clone()).collect()
}

#[async_trait]
impl SessionState for Flaky {
    fn is_writable(&self) -> bool {
        self.state.is_writable()
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.read(self.state.get(key)).await
    }

    async fn get_noted(&self, key: &str) -> Result<Option<(Vec<u8>, Option<i64>)>> {
        self.read(self.state.get_noted(key)).await
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>> {
        self.read(self.state.get_many(keys)).await
    }

    async fn put(&self, key: &str, value: &[u8], expires: Option<DateTime<Utc>>) -> Result<()> {
        self.whole(|| self.state.put(key, value, expires)).await
    }

    async fn put_many(&self, entries: Vec<Entry>) -> Result<()> {
        self.write(entries, |entries| self.state.put_many(entries)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.whole(|| self.state.delete(key)).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<()> {
        let delete = |keys: Vec<String>| async move { self.state.delete_many(&keys).await };
        self.write(keys.to_vec(), delete).await
    }

    async fn delete_remembered(&self, gone: &[Gone], remembered: TimeDelta) -> Result<()> {
        let delete = |gone: Vec<Gone>| async move { self.state.delete_remembered(&gone, remembered).await };
        self.write(gone.to_vec(), delete).await
    }

    async fn put_recalling(&self, entries: Vec<Noted>) -> Result<Vec<Recalled>> {
        self.write(entries, |entries| self.state.put_recalling(entries))
            .await
    }

    async fn is_deleted(&self, key: &str) -> Result<bool> {
        self.read(self.state.is_deleted(key)).await
    }

    async fn keys(&self, prefix: &str, after: Option<&str>) -> Result<Page<Listed>> {
        self.read(self.state.keys(prefix, after)).await
    }

    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page<(String, Vec<u8>)>> {
        self.read(self.state.page(prefix, after)).await
    }

    async fn clear(&self) -> Result<()> {
        self.whole(|| self.state.clear()).await
    }
}
