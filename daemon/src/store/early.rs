//! Entries that were read before anybody asked for them.
//!
//! What a session needs before its login is over is known as it begins. It is read in one request, instead of one entry after
//! the other.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use shared::session_state::SessionState;
use shared::storage::StorageError;
use tracing::debug;

/// Some entries as they were read. Each answers whoever asks for it first. It is dropped before it is written: the owner of
/// the fence is alone, so until then it is as it was.
#[derive(Default)]
pub struct Early(Mutex<HashMap<String, Found>>);

/// An entry as it was read; `None` where there was none.
pub struct Found(pub Option<Vec<u8>>);

impl fmt::Debug for Early {
    /// Entries are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Early")
            .field("entries", &self.entries().len())
            .finish()
    }
}

impl Early {
    /// Reads these entries. Where one is damaged none is kept, and each is read when it is asked for.
    pub async fn read(state: &dyn SessionState, keys: Vec<String>) -> Result<Self, StorageError> {
        let found = match state.get_many(&keys).await {
            Ok(found) => found,
            Err(error) if error.nature().is_permanent() => {
                // The error may name its entry, whose key has the account's number.
                debug!("an entry that a session may need cannot be read, so they are read one by one");
                return Ok(Self::default());
            }
            Err(error) => return Err(error),
        };
        let mut entries: HashMap<String, Found> = keys.into_iter().map(|key| (key, Found(None))).collect();
        for (key, value) in found {
            entries.insert(key, Found(Some(value)));
        }
        Ok(Self(Mutex::new(entries)))
    }

    /// An entry, where it was read and not taken or written since.
    pub fn take(&self, key: &str) -> Option<Found> {
        self.entries().remove(key)
    }

    /// These entries are about to be written.
    pub fn forget<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        let mut entries = self.entries();
        for key in keys {
            entries.remove(key);
        }
    }

    /// All entries are about to be deleted.
    pub fn forget_all(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Found>> {
        self.0.lock().expect("no holder panics")
    }
}
