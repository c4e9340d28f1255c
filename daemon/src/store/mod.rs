//! The WhatsApp library's storage traits over the fenced, sealed session state.
//!
//! The library keeps its own write-back caches of sessions, sender keys and identities, so
//! nothing is cached here but two packs of prekeys, and the last steps of
//! sessions that need not be stored one by one (`deferred`). The owner of the fence is alone:
//! reading, changing and writing back under a lock of this process is atomic.
//!
//! Entries are named `<kind>#<parts>`:
//!
//! | kind | entry |
//! | --- | --- |
//! | `device` | the device: keys, account, counters |
//! | `id`, `s`, `sk` | an address's identity key, session, sender key |
//! | `pre` | a pack of one-time prekeys (`prekeys`) |
//! | `spk` | a signed prekey |
//! | `ask`, `ask-latest` | an app state sync key; the id of the latest |
//! | `asv`, `mac` | a collection's version; a bucket of its mutation MACs |
//! | `skd` | which devices of a group have our sender key |
//! | `lid`, `pn` | a LID's phone number; a phone number's latest LID |
//! | `bk` | a base key, for collisions in retries |
//! | `dev`, `grp`, `tc` | a user's devices; a group's metadata; a privacy token |
//! | `sent` | a sent message, for retries: two hours |
//! | `in` | an incoming message until it is committed, seven days at most; that it was, without it: 30 days |
//! | `ms` | a message's secret, until its own deadline |

mod app_sync;
mod deferred;
mod device;
mod gate;
mod msg_secret;
mod names;
mod pairs;
mod prekeys;
mod protocol;
mod signal;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::clock::Clock;
use shared::session_state::SessionState;
use shared::storage::StorageError;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use wacore::store::error::StoreError;

use deferred::Deferred;
use gate::Gate;
use prekeys::Prekeys;

/// How long a sent message is kept for retries: no content rests longer.
const SENT_MESSAGE_TERM: TimeDelta = TimeDelta::hours(2);

/// How long an incoming message waits for its commit at most; the library's own sweep has
/// the same term.
const PENDING_INBOUND_TERM: TimeDelta = TimeDelta::days(7);

/// How long it is remembered that an incoming message was committed: as long as WhatsApp keeps what it could not deliver.
const COMMITTED_TERM: TimeDelta = TimeDelta::days(30);

/// How long a base key is kept: a retry comes within hours or not at all.
const BASE_KEY_TERM: TimeDelta = TimeDelta::days(7);

/// The library's store for one instance.
#[derive(Debug)]
pub struct SessionStore {
    state: Arc<dyn SessionState>,
    clock: Arc<dyn Clock>,
    prekeys: Prekeys,
    deferred: Deferred,
    locks: Locks,
    shut: CancellationToken,
    inbound_lost: CancellationToken,
    missing: Option<mpsc::Sender<MissingInbound>>,
}

/// An incoming message that the library has decrypted before and that was neither buffered nor committed.
///
/// It comes about where a session ends, in order or not, between two writes: the library makes its ratchets durable
/// as a whole, while another task has moved one of them and not yet buffered what it decrypted with it. The server
/// sends such a message again, and it cannot be decrypted again.
#[derive(Clone, PartialEq, Eq)]
pub struct MissingInbound {
    /// The chat's JID.
    pub chat: String,
    /// The JID of the device that sent it.
    pub sender: String,
    /// Its WhatsApp id.
    pub id: String,
}

/// Numbers stay out of logs.
impl fmt::Debug for MissingInbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MissingInbound")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Held while an entry of the kind is read, changed and written back.
#[derive(Debug, Default)]
struct Locks {
    sessions: Mutex<()>,
    mutation_macs: Mutex<()>,
    sender_key_devices: Mutex<()>,
    tc_tokens: Mutex<()>,
    sent_messages: Mutex<()>,
    msg_secrets: Mutex<()>,
}

impl SessionStore {
    /// A store over `state`.
    pub fn new(state: Arc<dyn SessionState>, clock: Arc<dyn Clock>) -> Self {
        let shut = CancellationToken::new();
        let state: Arc<dyn SessionState> = Arc::new(Gate::new(state, shut.clone()));
        Self {
            prekeys: Prekeys::new(Arc::clone(&state)),
            state,
            clock,
            deferred: Deferred::default(),
            locks: Locks::default(),
            shut,
            inbound_lost: CancellationToken::new(),
            missing: None,
        }
    }

    /// The store that tells of [`MissingInbound`] messages, and does not let the library acknowledge them.
    #[must_use]
    pub fn telling_missing(self, missing: mpsc::Sender<MissingInbound>) -> Self {
        Self {
            missing: Some(missing),
            ..self
        }
    }

    /// Refuses every later write. What is only in the library's memory then stays there.
    pub fn shut(&self) {
        self.shut.cancel();
    }

    /// Cancelled when an incoming message could not be buffered. Its ratchet step is then
    /// in the library's memory alone, and the store is shut so that no flush makes it
    /// durable: a new client on the stored state can decrypt the server's redelivery.
    pub fn inbound_lost(&self) -> &CancellationToken {
        &self.inbound_lost
    }

    async fn get_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.state
            .get(name)
            .await
            .map_err(failed)?
            .map(|bytes| from_json(&bytes))
            .transpose()
    }

    async fn put_json<T: Serialize + Sync>(&self, name: &str, value: &T) -> Result<(), StoreError> {
        self.state.put(name, &to_json(value)?, None).await.map_err(failed)
    }

    fn expiry(&self, term: TimeDelta) -> DateTime<Utc> {
        self.clock.now() + term
    }

    /// Whether everything written before `cutoff` (Unix seconds) with `term` has expired by
    /// itself, so that no sweep is needed. Idle instances thereby cost no reads.
    fn has_expired(&self, cutoff: i64, term: TimeDelta) -> bool {
        cutoff <= (self.clock.now() - term).timestamp()
    }

    /// Deletes what begins with `prefix` and was written before `cutoff`, where the value
    /// begins with the second it was written at ([`stamped`]).
    async fn delete_written_before(&self, prefix: &str, cutoff: i64) -> Result<u32, StoreError> {
        let old: Vec<String> = self
            .state
            .scan(prefix)
            .await
            .map_err(failed)?
            .into_iter()
            .filter(|(_, value)| unstamped(value).is_ok_and(|(written, _)| written < cutoff))
            .map(|(name, _)| name)
            .collect();
        self.state.delete_many(&old).await.map_err(failed)?;
        Ok(count(old.len()))
    }
}

/// A failed call to the state as the library's error, with its cause.
fn failed(error: StorageError) -> StoreError {
    StoreError::Database(Box::new(error))
}

fn corrupt(what: &'static str) -> StoreError {
    StoreError::Validation(format!("stored {what} has another shape"))
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Serialization(Box::new(error)))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Serialization(Box::new(error)))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// `value` behind the Unix second it was written at.
fn stamped(written: DateTime<Utc>, value: &[u8]) -> Vec<u8> {
    [&written.timestamp().to_be_bytes(), value].concat()
}

fn unstamped(stored: &[u8]) -> Result<(i64, &[u8]), StoreError> {
    let (written, value) = stored.split_first_chunk().ok_or_else(|| corrupt("message"))?;
    Ok((i64::from_be_bytes(*written), value))
}
