//! WhatsApp session state: a sealed key-value store of one instance, which only the holder of its shard's lease can
//! change.
//!
//! # What the fence keeps out
//!
//! A daemon may lose its lease without noticing: its machine stood still, or its packets were late. It must not undo
//! what the next owner wrote, since a ratchet that is set back makes two messages under one key. So each item carries
//! the token of the lease it was written under as its `fence`, and a write is conditional on the item's fence being
//! no newer. This costs nothing beside the write itself; checking the lease in a transaction would cost four write
//! units each time.
//!
//! - **Deletions leave a tombstone**: an item without a value, which carries the fence and expires two hours later.
//!   Without it a late write of the old owner would find no fence and bring the item back. Two hours are far more than
//!   the life of a request (2.5 s).
//! - **Late writes of one's own**: a request that timed out may still arrive after its
//!   successor. Within one token, items carry the sequence number `seq` of their write, and
//!   a write never replaces one with a higher number.
//! - **What is left**: the old owner can still create an item that the new owner has neither written nor deleted, as
//!   if just before the change of owners. The new owner may have read that item as absent meanwhile. It either writes
//!   the item itself before it relies on that (sessions, sender keys, prekeys), or uses it as a cache only (device
//!   lists, LID mappings). So nothing that it depends on changes under it.
//! - **No more after the first refusal**: one refused write, or a lease known to be lost, revokes the [`Fence`].
//!   Every later write fails without being sent.

mod fence;
mod table;

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::storage::StorageError;

pub use fence::Fence;
pub use table::{MAX_VALUE_LENGTH, TableSessionState};

/// One value to store.
#[derive(Clone)]
pub struct Entry {
    /// Its key: non-empty, at most 1,024 bytes.
    pub key: String,
    /// Its value, in the clear: at most [`MAX_VALUE_LENGTH`] bytes.
    pub value: Vec<u8>,
    /// When it expires, to the second.
    pub expires: Option<DateTime<Utc>>,
}

impl Debug for Entry {
    /// Values are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("bytes", &self.value.len())
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A key that has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// When its value expires, to the second.
    pub expires: Option<DateTime<Utc>>,
}

/// A key whose value is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The key.
    pub key: String,
    /// A number to keep in the value's place, for whoever puts a value there again. A number that is there already stays.
    pub note: Option<i64>,
}

/// A value to store, and a number to keep beside it. The number outlives the value: see
/// [`SessionState::delete_remembered`].
#[derive(Debug, Clone)]
pub struct Noted {
    /// The value.
    pub entry: Entry,
    /// The number, where the key has none yet.
    pub note: i64,
}

/// A key that was not new to a [`SessionState::put_recalling`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// The key.
    pub key: String,
    /// What was there.
    pub before: Before,
}

/// What was there before a value was put.
#[derive(Clone, PartialEq, Eq)]
pub enum Before {
    /// This number, beside a value or in its place. It stays.
    Note(i64),
    /// This value, without a number.
    Value(Vec<u8>),
}

impl Debug for Before {
    /// Values are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Note(note) => f.debug_tuple("Note").field(note).finish(),
            Self::Value(_) => f.debug_struct("Value").finish_non_exhaustive(),
        }
    }
}

/// A page of what begins with a prefix, in the order of the keys. A page may be empty and not the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The next page begins behind this key; `None` on the last.
    pub next: Option<String>,
}

/// The key-value port behind which WhatsApp's session state rests. Reads see every write that was answered. An
/// expired value reads as absent. [`StorageError::Fenced`] means that this owner must stop.
#[async_trait]
pub trait SessionState: Send + Sync + Debug {
    /// Whether this owner may write, as far as that is known without a request. Where it may not, every write answers
    /// [`StorageError::Fenced`].
    fn is_writable(&self) -> bool;

    /// The value of `key`.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// The value of `key`, and the number beside it.
    async fn get_noted(&self, key: &str) -> Result<Option<(Vec<u8>, Option<i64>)>, StorageError>;

    /// The values that exist of `keys`, in no order.
    async fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, StorageError>;

    /// Stores `value` under `key`, in the place of all that was there, a number beside the old value included.
    async fn put(&self, key: &str, value: &[u8], expires: Option<DateTime<Utc>>) -> Result<(), StorageError>;

    /// Stores all entries, several at a time. Where it fails, some may be stored.
    async fn put_many(&self, entries: Vec<Entry>) -> Result<(), StorageError>;

    /// Deletes `key`, whether or not it exists.
    async fn delete(&self, key: &str) -> Result<(), StorageError>;

    /// Deletes all keys, several at a time. Where it fails, some may be deleted. No number stays, unlike with
    /// [`SessionState::delete_remembered`].
    async fn delete_many(&self, keys: &[String]) -> Result<(), StorageError>;

    /// A page of the keys that begin with `prefix`, behind `after`, without values: it is small however large they
    /// are.
    async fn keys(&self, prefix: &str, after: Option<&str>) -> Result<Page<Listed>, StorageError>;

    /// A page of the keys that begin with `prefix` and their values, behind `after`: at most 1,000 and about 1 MB. What
    /// is deleted is passed over, though it counts towards the page.
    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page<(String, Vec<u8>)>, StorageError>;

    /// All pages: for kinds of which an instance has a few.
    async fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let (mut values, mut after) = (Vec::new(), None);
        loop {
            let mut page = self.page(prefix, after.as_deref()).await?;
            values.append(&mut page.items);
            after = page.next;
            if after.is_none() {
                return Ok(values);
            }
        }
    }

    /// Deletes these keys. [`SessionState::is_deleted`] answers `true` for them for as long as `remembered`, and
    /// [`SessionState::put_recalling`] answers their notes. Where it fails, some may be deleted.
    async fn delete_remembered(&self, gone: &[Gone], remembered: TimeDelta) -> Result<(), StorageError>;

    /// Stores all entries as [`SessionState::put_many`] does, at no further cost, and answers what was there before. A
    /// number that is there stays, beside the new value. So a call that is made again, since its answer was lost, answers
    /// the same number.
    async fn put_recalling(&self, entries: Vec<Noted>) -> Result<Vec<Recalled>, StorageError>;

    /// Whether `key` was deleted. It may read as never written two hours after that, or when it is no longer remembered.
    async fn is_deleted(&self, key: &str) -> Result<bool, StorageError>;

    /// Deletes everything, page by page. Where it fails, some may be deleted.
    async fn clear(&self) -> Result<(), StorageError>;
}
