//! The WhatsApp library's storage traits over the fenced, sealed session state.
//!
//! The library has its own write-back caches of sessions, sender keys and identities. So little is cached here: packs of
//! prekeys while single ones are used up (`prekeys`), the last steps of sessions that need not be stored one by one
//! (`deferred`), which devices of a user have nothing stored (`devices`), some privacy tokens (`tokens`), what device is
//! stored (`device`), and what was read as the session began (`early`). The owner of the fence is alone, so reading,
//! changing and writing back under a lock of this process is atomic.
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
//! | `in` | an incoming message, or a stub of one that is too large (`oversize`), until it is committed, seven days at most; then the mark that it was, for 30 days. The library's own probe is not stored (`probe`) |
//! | `ms` | a message's secret, until its own deadline |
//! | `poll` | a poll with its secret and its votes: 90 days (`polls`) |

mod app_sync;
mod deferred;
mod device;
mod devices;
mod early;
mod gate;
mod msg_secret;
mod names;
mod oversize;
mod pairs;
mod patience;
mod polls;
mod prekeys;
mod probe;
mod protocol;
mod received;
mod signal;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::clock::Clock;
use shared::session_state::{Entry, Listed, MAX_VALUE_LENGTH, SessionState};
use shared::storage::StorageError;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use wacore::store::error::StoreError;

use deferred::Deferred;
use devices::Devices;
use gate::Gate;
use names::kind;
use patience::Patience;
use prekeys::Prekeys;
use probe::Probes;
use received::Received;
use tokens::Tokens;

pub use device::DEVICE;
pub use early::{Early, Found};
pub use oversize::{MAX_TEXT, is_oversize, is_stub};
pub use patience::{GivenUp, patiently};
pub use polls::{CastVote, Counted, NewPoll, StoredPoll};
pub use signal::session_entry;

/// How long a sent message is kept for retries; its content rests no longer.
const SENT_MESSAGE_TERM: TimeDelta = TimeDelta::hours(2);

/// How long an incoming message waits for its commit at most; the library's own sweep has
/// the same term.
const PENDING_INBOUND_TERM: TimeDelta = TimeDelta::days(7);

/// How long the commit of an incoming message is remembered: as long as WhatsApp keeps a message that it cannot
/// deliver.
const COMMITTED_TERM: TimeDelta = TimeDelta::days(30);

/// How long a base key is kept: a retry comes within hours or not at all.
const BASE_KEY_TERM: TimeDelta = TimeDelta::days(7);

/// The library's store for one instance.
#[derive(Debug)]
pub struct SessionStore {
    state: Arc<dyn SessionState>,
    clock: Arc<dyn Clock>,
    prekeys: Prekeys,
    device: Mutex<device::Known>,
    deferred: Deferred,
    devices: Devices,
    tokens: Tokens,
    locks: Locks,
    received: Received,
    probes: Probes,
    patience: Arc<Patience>,
    shut: CancellationToken,
    inbound_lost: CancellationToken,
    missing: Option<mpsc::Sender<Box<MissingInbound>>>,
    ahead: Option<Arc<dyn Ahead>>,
}

/// Why something could not be stored ahead.
pub type AheadError = Box<dyn std::error::Error + Send + Sync>;

/// What has to be stored before the library notes how far a collection of app state has come: what it has handed out of that
/// collection does not come again.
#[async_trait]
pub trait Ahead: Send + Sync + fmt::Debug {
    /// Stores what came of this collection.
    async fn store(&self, collection: &str) -> Result<(), AheadError>;
}

/// An incoming message that the library has decrypted before, and that was neither buffered nor committed.
///
/// Such a message is left when a session ends, in order or not, between two writes. The library makes all its
/// ratchets durable at once; one of them may have decrypted a message that another task has not buffered yet. The
/// server sends that message again, and it cannot be decrypted again.
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

/// Locks, one for a kind: held while an entry of that kind is read, changed and written back.
#[derive(Debug, Default)]
struct Locks {
    sessions: Mutex<()>,
    mutation_macs: Mutex<()>,
    sender_key_devices: Mutex<()>,
    tc_tokens: Mutex<()>,
    sent_messages: Mutex<()>,
    msg_secrets: Mutex<()>,
    polls: Mutex<()>,
}

impl SessionStore {
    /// A store over `state`.
    pub fn new(state: Arc<dyn SessionState>, clock: Arc<dyn Clock>) -> Self {
        Self::having_read(Early::default(), state, clock)
    }

    /// The same where some entries of `state` were read early.
    pub fn having_read(early: Early, state: Arc<dyn SessionState>, clock: Arc<dyn Clock>) -> Self {
        let shut = CancellationToken::new();
        let patience = Arc::<Patience>::default();
        let gate = Gate::new(state, early, Arc::clone(&patience), shut.clone());
        let state: Arc<dyn SessionState> = Arc::new(gate);
        Self {
            prekeys: Prekeys::new(Arc::clone(&state)),
            state,
            clock,
            device: Mutex::default(),
            deferred: Deferred::default(),
            devices: Devices::default(),
            tokens: Tokens::default(),
            locks: Locks::default(),
            received: Received::default(),
            probes: Probes::default(),
            patience,
            shut,
            inbound_lost: CancellationToken::new(),
            missing: None,
            ahead: None,
        }
    }

    /// The store with something that is stored [`Ahead`].
    #[must_use]
    pub fn after(self, ahead: Arc<dyn Ahead>) -> Self {
        Self {
            ahead: Some(ahead),
            ..self
        }
    }

    /// The store with a channel for [`MissingInbound`] messages, which it does not let the library acknowledge.
    #[must_use]
    pub fn telling_missing(self, missing: mpsc::Sender<Box<MissingInbound>>) -> Self {
        Self {
            missing: Some(missing),
            ..self
        }
    }

    /// Refuses every later write. What is only in the library's memory then stays there.
    pub fn shut(&self) {
        self.shut.cancel();
    }

    /// Cancelled when an incoming message could not be buffered. Its ratchet step is then only in the library's
    /// memory, and the store is shut so that no flush makes it durable. A new client on the stored state can decrypt
    /// the server's redelivery.
    pub fn inbound_lost(&self) -> &CancellationToken {
        &self.inbound_lost
    }

    /// The reads of the library's that wait.
    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Whether the entry of the device can be read now, which each session has read as it began. Of no use in the library's own tasks,
    /// where a read waits until it succeeds.
    pub async fn is_readable(&self) -> bool {
        self.state.get_noted(DEVICE).await.is_ok()
    }

    /// An error where a write would be refused without a request.
    fn writable(&self) -> Result<(), StoreError> {
        if self.state.is_writable() {
            Ok(())
        } else {
            Err(failed(StorageError::Fenced))
        }
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

    /// Whether everything written before `cutoff` (Unix seconds) with `term` has expired by itself. Then no sweep is
    /// needed, and idle instances cost no reads.
    fn has_expired(&self, cutoff: i64, term: TimeDelta) -> bool {
        cutoff <= (self.clock.now() - term).timestamp()
    }

    /// Deletes the entries that begin with `prefix` and for which `goes` holds, page by page and without reading a
    /// value. Answers how many.
    async fn delete_each(
        &self,
        prefix: &str,
        goes: impl Fn(&Listed) -> bool + Send,
    ) -> Result<u32, StoreError> {
        let (mut deleted, mut after) = (0, None);
        loop {
            let page = self.state.keys(prefix, after.as_deref()).await.map_err(failed)?;
            let going = page.items.into_iter().filter(&goes);
            let going: Vec<String> = going.map(|listed| listed.key).collect();
            self.state.delete_many(&going).await.map_err(failed)?;
            deleted += going.len();
            after = page.next;
            if after.is_none() {
                return Ok(count(deleted));
            }
        }
    }

    /// Deletes the entries that begin with `prefix` and were written before `cutoff` (Unix seconds) to expire after
    /// `term`.
    async fn delete_written_before(
        &self,
        prefix: &str,
        cutoff: i64,
        term: TimeDelta,
    ) -> Result<u32, StoreError> {
        let cutoff = cutoff.saturating_add(term.num_seconds());
        self.delete_each(prefix, |listed| {
            listed.expires.is_some_and(|expires| expires.timestamp() < cutoff)
        })
        .await
    }

    /// Stores entries that can be learnt or agreed upon anew. Others may make a value grow until it is too large to
    /// be stored. It is then forgotten, so that nothing that waits behind it stands still for ever.
    async fn put_or_forget(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let (fitting, too_large): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .partition(|entry| entry.value.len() <= MAX_VALUE_LENGTH);
        let too_large: Vec<String> = too_large.into_iter().map(|entry| entry.key).collect();
        self.state.put_many(fitting).await.map_err(failed)?;
        if !too_large.is_empty() {
            let kinds = too_large.iter().map(|key| kind(key)).collect::<BTreeSet<_>>();
            warn!(
                ?kinds,
                count = too_large.len(),
                "session state is too large to be stored and is forgotten"
            );
            self.state.delete_many(&too_large).await.map_err(failed)?;
        }
        Ok(())
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

/// `value`, preceded by the time at which it was written, in microseconds since the epoch.
fn stamped(written: DateTime<Utc>, value: &[u8]) -> Vec<u8> {
    [&written.timestamp_micros().to_be_bytes(), value].concat()
}

/// What [`stamped`] made.
fn unstamped(stored: &[u8]) -> Result<(DateTime<Utc>, &[u8]), StoreError> {
    /// Earlier builds wrote seconds, which stay below this for ages.
    const SECONDS: i64 = 1 << 40;
    let (written, value) = stored.split_first_chunk().ok_or_else(|| corrupt("message"))?;
    let written = i64::from_be_bytes(*written);
    let at = if written < SECONDS {
        DateTime::from_timestamp(written, 0)
    } else {
        DateTime::from_timestamp_micros(written)
    };
    Ok((at.ok_or_else(|| corrupt("message"))?, value))
}
