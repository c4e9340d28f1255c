//! Incoming messages between their ratchet and their commit: how they are buffered, and what is remembered of them.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use shared::session_state::{Before, Entry, Gone, Noted, Recalled};
use shared::storage::StorageError;
use wacore::store::error::Result;
use wacore::store::traits::PendingInboundRow;

use crate::store::names::name;
use crate::store::oversize::{self, is_oversize};
use crate::store::{COMMITTED_TERM, PENDING_INBOUND_TERM, SessionStore, failed, stamped, unstamped};

/// The name of an incoming message's entry. It is a digest: the tombstone outlives the message and must not tell who
/// wrote to whom.
pub(super) fn inbound(chat: &str, sender: &str, id: &str) -> String {
    let digest = Sha256::digest(name("in", &[chat, sender, id]));
    name("in", &[&hex::encode(digest)])
}

impl SessionStore {
    /// Buffers incoming messages until they are committed. Where that fails, the client must be dropped: see
    /// [`SessionStore::inbound_lost`].
    pub(super) async fn buffer_inbound(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let (now, expires) = (self.clock.now(), Some(self.expiry(PENDING_INBOUND_TERM)));
        let entry = |row: &PendingInboundRow<'_>, as_stub: bool| {
            let key = inbound(row.chat, row.sender, row.id);
            let received_at = self.received.note(&key, now);
            let value = if as_stub {
                stamped(received_at, &oversize::stub(row.message))
            } else {
                stamped(received_at, row.message)
            };
            Noted {
                entry: Entry { key, value, expires },
                note: received_at.timestamp_micros(),
            }
        };
        let as_they_fit = |row: &PendingInboundRow<'_>| entry(row, is_oversize(row.message.len()));
        // One that is refused for good is buffered as a stub.
        let put = async |row| match self.state.put_recalling(vec![as_they_fit(row)]).await {
            Err(error) if is_of_the_value(&error) => self.state.put_recalling(vec![entry(row, true)]).await,
            stored => stored,
        };
        let storing = async {
            let all = self
                .state
                .put_recalling(rows.iter().map(as_they_fit).collect())
                .await;
            let known = match all {
                Err(error) if is_of_the_value(&error) => {
                    let mut known = Vec::new();
                    for row in rows {
                        known.extend(put(row).await?);
                    }
                    known
                }
                stored => stored?,
            };
            let without_note = self.keep_times(known);
            for row in rows {
                if without_note.contains(&inbound(row.chat, row.sender, row.id)) {
                    match self.put_anew(as_they_fit(row)).await {
                        Err(error) if is_of_the_value(&error) => self.put_anew(entry(row, true)).await?,
                        stored => stored?,
                    }
                }
            }
            Ok(())
        };
        let stored: std::result::Result<(), StorageError> = storing.await;
        if stored.is_err() {
            self.shut();
            self.inbound_lost.cancel();
        }
        stored.map_err(failed)
    }

    /// These were buffered or committed before and come again, since their ratchet or their acknowledgement was lost. They
    /// keep the time at which they first came, and with it their ids. Answers those that had a value without a note. The put
    /// has given these a note that is later than their own time.
    fn keep_times(&self, known: Vec<Recalled>) -> Vec<String> {
        let mut without_note = Vec::new();
        for Recalled { key, before } in known {
            match before {
                Before::Note(note) => {
                    self.received.relearn(&key, Some(note));
                }
                // Buffered by an earlier build, which put no note beside it.
                Before::Value(stored) => {
                    if let Ok((received_at, _)) = unstamped(&stored) {
                        self.received.learn(&key, received_at);
                        without_note.push(key);
                    }
                }
            }
        }
        without_note
    }

    /// Buffers a message with this note, whatever note is there. The first write removes that one. Between the two the
    /// time is the value's own.
    async fn put_anew(&self, noted: Noted) -> std::result::Result<(), StorageError> {
        let Entry { key, value, expires } = &noted.entry;
        self.state.put(key, value, *expires).await?;
        self.state.put_recalling(vec![noted]).await?;
        Ok(())
    }

    /// Removes committed messages. Their commit, and the time at which they came, is remembered.
    pub(super) async fn delete_committed(&self, names: Vec<String>) -> Result<()> {
        let gone: Vec<Gone> = names
            .into_iter()
            .map(|key| {
                let note = self.received.of(&key).map(|at| at.timestamp_micros());
                Gone { key, note }
            })
            .collect();
        self.state
            .delete_remembered(&gone, COMMITTED_TERM)
            .await
            .map_err(failed)?;
        for gone in &gone {
            self.received.forget(&gone.key);
        }
        Ok(())
    }

    /// When an incoming message came, if it is buffered and not yet committed. It is the same at every delivery.
    pub fn received_at(&self, chat: &str, sender: &str, id: &str) -> Option<DateTime<Utc>> {
        self.received.of(&inbound(chat, sender, id))
    }
}

/// Whether the store refused the value itself, so that another one may be stored in its place.
fn is_of_the_value(error: &StorageError) -> bool {
    matches!(error, StorageError::TooLarge(_) | StorageError::Refused(_))
}
