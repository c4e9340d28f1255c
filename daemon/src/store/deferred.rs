//! Session records whose latest steps need not be stored one by one.
//!
//! The library writes a session some milliseconds after each message. Most of these writes only move a counter on.
//! Either it stays within the batch of 64 that the stored record has reserved; a reader of that record skips the
//! whole batch, so no counter is used twice. Or it is on a receiving chain, which is derived anew from an older step.
//! Such a step is kept in memory, and does no harm when it is lost with the process.
//!
//! Everything else is stored at once: a new session, a new ratchet key of either side, a new reservation, and every
//! 64th step. The steps in memory are stored when a session ends in order.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use wacore::libsignal::protocol::SessionRecord;

/// How many steps of a record are kept before it is stored.
const MAX_STEPS: u32 = 64;

/// How many records may have steps in memory; records of further addresses are stored at once.
const MAX_RECORDS: usize = 128;

/// The records that one process has stored, and their later steps.
#[derive(Default)]
pub struct Deferred(Mutex<HashMap<String, Tracked>>);

struct Tracked {
    /// The [`fingerprint`] of the stored record: a lost step must not change it.
    stored: [u8; 32],
    steps: u32,
    /// The record after the last step; `None` where that is the stored one.
    latest: Option<Bytes>,
}

impl std::fmt::Debug for Deferred {
    /// Records are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deferred")
            .field("records", &self.tracked().len())
            .finish()
    }
}

impl Deferred {
    /// Keeps a record in memory if it is only a step; answers whether it did. If not, the record must be stored.
    pub fn keep(&self, address: &str, record: &Bytes) -> bool {
        let mut tracked = self.tracked();
        let Some(entry) = tracked.get_mut(address) else {
            return false;
        };
        if entry.steps >= MAX_STEPS || fingerprint(record) != Some(entry.stored) {
            return false;
        }
        entry.steps += 1;
        entry.latest = Some(record.clone());
        true
    }

    /// A record is stored now.
    pub fn stored(&self, address: &str, record: &Bytes) {
        let mut tracked = self.tracked();
        match fingerprint(record) {
            Some(stored) if tracked.len() < MAX_RECORDS || tracked.contains_key(address) => {
                tracked.insert(
                    address.to_owned(),
                    Tracked {
                        stored,
                        steps: 0,
                        latest: None,
                    },
                );
            }
            _ => {
                tracked.remove(address);
            }
        }
    }

    /// A record is gone, or nobody knows what of it is stored.
    pub fn forget(&self, address: &str) {
        self.tracked().remove(address);
    }

    /// The record after its last step, where that is only in memory.
    pub fn latest(&self, address: &str) -> Option<Bytes> {
        self.tracked().get(address)?.latest.clone()
    }

    /// All records that are only in memory.
    pub fn unstored(&self) -> Vec<(String, Bytes)> {
        let latest = |(address, entry): (&String, &Tracked)| Some((address.clone(), entry.latest.clone()?));
        self.tracked().iter().filter_map(latest).collect()
    }

    fn tracked(&self) -> MutexGuard<'_, HashMap<String, Tracked>> {
        self.0.lock().expect("no holder panics")
    }
}

/// A digest of all but the counters: the session's base key, the ratchet keys of both sides, the reservation, what
/// waits for the other side's first answer, and the number of older sessions. `None` for a record that cannot be
/// read.
fn fingerprint(record: &[u8]) -> Option<[u8; 32]> {
    let record = SessionRecord::deserialize(record).ok()?;
    let state = record.session_state()?;
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    };
    add(state.alice_base_key());
    add(&state.sender_ratchet_key().ok()?.serialize());
    add(&state.previous_counter().to_be_bytes());
    for (key, _) in state.all_receiver_chain_logging_info() {
        add(&key);
    }
    add(&record.reserved_sender_chain_index().to_be_bytes());
    add(&[u8::from(
        state.unacknowledged_pre_key_message_items().ok()?.is_some(),
    )]);
    add(&u64::try_from(record.previous_session_count()).ok()?.to_be_bytes());
    Some(digest.finalize().into())
}
