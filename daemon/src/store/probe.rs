//! The library's probe of the buffer for incoming messages.
//!
//! Each time a client is made, the library buffers a message of its own, reads it and deletes it, to see whether the store
//! keeps messages at all. Ours does, and its tests hold it to that. In the table a probe would be three requests in a row
//! before WhatsApp is dialled, and a tombstone for 30 days. So probes stay in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

/// Who writes the library's probes to whom. Nobody else writes in this chat but WhatsApp itself.
const CHAT: &str = "0@s.whatsapp.net";

/// What the ids of probes begin with.
const PREFIX: &str = "__wa_durability_probe_";

/// Whether this is a message of the library's own. Its id alone does not say so, since senders choose their ids.
pub fn is_probe(chat: &str, sender: &str, id: &str) -> bool {
    chat == CHAT && sender == CHAT && id.starts_with(PREFIX)
}

/// The probes that are stored, by their ids: one at a time.
#[derive(Debug, Default)]
pub struct Probes(Mutex<HashMap<String, Vec<u8>>>);

impl Probes {
    /// Stores a probe.
    pub fn keep(&self, id: &str, message: &[u8]) {
        self.probes().insert(id.to_owned(), message.to_vec());
    }

    /// What was stored under this id.
    pub fn kept(&self, id: &str) -> Option<Vec<u8>> {
        self.probes().get(id).cloned()
    }

    /// Deletes a probe; answers whether there was one.
    pub fn forget(&self, id: &str) -> bool {
        self.probes().remove(id).is_some()
    }

    fn probes(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.0.lock().expect("no holder panics")
    }
}
