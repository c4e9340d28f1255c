//! Receipts bring messages that were sent into later states.
//!
//! WhatsApp counts a receipt as told once the library has it, so nobody tells it again. Receipts are put into a line
//! (`pending.rs`) at once, where those of one message become one. One task an instance stores them from there. It
//! outlives sessions: a table that is away or throttles costs time and no receipt, as long as the shard is held.
//! Receipts that are given up all the same are counted.

mod message;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt as _};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use shared::nature::Nature;
use shared::session_state::Fence;
use shared::storage::StorageError;
use shared::telemetry::chain;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::group_receipts::Groups;
use super::link::Links;
use super::pending::{Pending, Unstored};
use crate::announce::AnnounceError;
use crate::connection::ReceiptKind;
use crate::deps::Deps;

/// How many messages' receipts are stored at once for an instance.
const AT_ONCE: usize = 8;

/// How many messages' receipts are taken from the line at once.
const BATCH: usize = 64;

/// The pause after a failure of the table; it doubles each time, to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long storing what is left may take when the instance's task ends.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// The pauses before a receipt whose message has no record is tried again: it may have overtaken the record of a
/// message that another device of the account sent.
const RECORD_PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

/// Where an instance's receipts go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Receipts(Arc<Pending>);

impl Receipts {
    /// Takes a receipt of messages in a chat with a person, or in a `group` one member's. Does
    /// not wait.
    pub fn told(
        &self,
        whatsapp_ids: Vec<String>,
        kind: ReceiptKind,
        at: DateTime<Utc>,
        group: Option<&Recipient>,
        reader: &Person,
    ) {
        for id in whatsapp_ids {
            self.0.told(id, kind, at, group, reader);
        }
    }

    /// The server has taken a message to a group, whose members are to be noted.
    pub fn sent_to(&self, whatsapp_id: String, group: Recipient) {
        self.0.sent_to(whatsapp_id, group);
    }
}

/// The task that stores an instance's receipts.
#[derive(Debug)]
pub struct Storing {
    pending: Arc<Pending>,
    end: CancellationToken,
    task: JoinHandle<()>,
}

/// Starts storing an instance's receipts, for as long as `fence` holds.
pub fn start(deps: Arc<Deps>, instance: InstanceId, links: Arc<Links>, fence: Fence) -> (Receipts, Storing) {
    let pending = Arc::new(Pending::new(deps.meter.receipts_given_up.clone()));
    let end = CancellationToken::new();
    let keeper = Keeper {
        groups: Groups::new(Arc::clone(&deps), instance, links),
        deps,
        instance,
        pending: Arc::clone(&pending),
        fence,
        end: end.clone(),
        known: std::sync::Mutex::default(),
    };
    let storing = Storing {
        pending: Arc::clone(&pending),
        end,
        task: tokio::spawn(async move { keeper.run().await }),
    };
    (Receipts(pending), storing)
}

impl Storing {
    /// Ends it, storing what is left within a deadline.
    pub async fn finish(mut self) {
        self.end.cancel();
        if tokio::time::timeout(END_DEADLINE, &mut self.task).await.is_err() {
            self.task.abort();
            let _ = (&mut self.task).await;
        }
        let given_up = self.pending.give_up_all();
        if given_up > 0 {
            warn!(given_up, "receipts were not stored before the end");
        }
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What came of one message's receipts.
enum Stored {
    Done,
    /// There is no record (yet).
    NoRecord,
    /// Not now, and not because of the table: after this pause.
    Later(Duration),
    /// It is of no use to try again.
    Never,
}

/// How the table took a batch.
enum Went {
    Well,
    /// It was in the way of some.
    InPart,
    /// It was in the way of all.
    Nowhere,
}

/// Why receipts are not stored.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error(transparent)]
    Table(#[from] StorageError),
    #[error(transparent)]
    Event(#[from] AnnounceError),
}

impl StoreError {
    fn nature(&self) -> Nature {
        match self {
            Self::Table(error) => error.nature(),
            Self::Event(error) => error.nature(),
        }
    }
}

struct Keeper {
    deps: Arc<Deps>,
    instance: InstanceId,
    pending: Arc<Pending>,
    groups: Groups,
    fence: Fence,
    end: CancellationToken,
    /// The records of messages that other devices of the account sent.
    known: std::sync::Mutex<HashMap<String, MessageId>>,
}

impl Keeper {
    async fn run(&self) {
        let mut pause = PAUSE;
        loop {
            let batch = tokio::select! {
                biased;
                () = self.fence.revoked() => return,
                () = self.end.cancelled() => break,
                batch = self.pending.due(BATCH) => batch,
            };
            // Boxed, since an instance waits for receipts most of the time.
            match Box::pin(self.store_all(batch)).await {
                Went::Well => {
                    pause = PAUSE;
                    continue;
                }
                Went::InPart => pause = (pause / 2).max(PAUSE),
                Went::Nowhere => {}
            }
            tokio::select! {
                () = self.fence.revoked() => return,
                () = self.end.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        // What is left, windows and pauses or not: once, and again what the table refused.
        self.pending.hurry();
        loop {
            let batch = self.pending.take(BATCH);
            if batch.is_empty() || self.fence.is_revoked() {
                return;
            }
            if !matches!(Box::pin(self.store_all(batch)).await, Went::Well) {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Stores a batch.
    async fn store_all(&self, batch: Vec<(String, Unstored)>) -> Went {
        let results = stream::iter(batch)
            .map(|(id, told)| async move {
                let stored = self.store(&id, &told).await;
                (id, told, stored)
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let (mut answered, mut refused, mut given_up) = (0, 0, 0);
        for (id, mut told, stored) in results {
            let entries = told.len();
            if stored.is_ok() {
                answered += 1;
            }
            match stored {
                Ok(Stored::Done) => self.pending.done(entries),
                Ok(Stored::NoRecord) => match RECORD_PAUSES.get(told.tries) {
                    Some(pause) => {
                        told.tries += 1;
                        self.pending.put_back(id, told, *pause);
                    }
                    // Of a message that is not recorded, such as one from before the pairing.
                    None => self.pending.done(entries),
                },
                Ok(Stored::Later(pause)) => self.pending.put_back(id, told, pause),
                Ok(Stored::Never) => {
                    given_up += entries;
                    self.pending.give_up(entries);
                }
                Err(error) if error.nature().is_permanent() => {
                    warn!(instance.id = %self.instance, error = %chain(&error), "a receipt cannot be stored");
                    given_up += entries;
                    self.pending.give_up(entries);
                }
                Err(error) => {
                    debug!(instance.id = %self.instance, error = %chain(&error), "table or queue are in the way of receipts");
                    refused += 1;
                    self.pending.put_back(id, told, Duration::ZERO);
                }
            }
        }
        if given_up > 0 {
            warn!(instance.id = %self.instance, given_up, "receipts were given up");
        }
        match (answered, refused) {
            (_, 0) => Went::Well,
            (0, _) => Went::Nowhere,
            _ => Went::InPart,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lean::{MOST, size_of_future};

    #[test]
    fn a_task_that_waits_for_receipts_takes_little_memory() {
        let size = size_of::<Keeper>() + size_of_future(Keeper::run);
        assert!(size <= MOST, "{size} bytes");
    }
}
