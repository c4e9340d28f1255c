//! The phone's address book, which comes as settings that the account's devices share. The library hands the contacts out and
//! keeps none of them; they are stored when it is about to note how far it has come.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use shared::domain::address_book::SavedContact;
use tracing::warn;
use wacore::appstate::patch_decode::WAPatchName;
use wacore::types::events::ContactUpdate;
use wacore_binary::Jid;

use super::people;
use crate::connection::AddressBook;
use crate::store::{Ahead, AheadError};

/// Most contacts that wait to be stored. A phone that brings more at once keeps the rest to itself.
const CAPACITY: usize = 50_000;

/// Contacts on their way to the book.
pub struct Contacts {
    book: Arc<dyn AddressBook>,
    waiting: Mutex<Waiting>,
    /// One at a time: what came first is stored first.
    storing: tokio::sync::Mutex<()>,
    /// Whether this session has begun the book anew.
    was_replaced: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    contacts: BTreeMap<String, SavedContact>,
    /// Whether they are all that there are.
    is_whole: bool,
}

impl Contacts {
    pub fn new(book: Arc<dyn AddressBook>) -> Self {
        Self {
            book,
            waiting: Mutex::default(),
            storing: tokio::sync::Mutex::default(),
            was_replaced: AtomicBool::new(false),
        }
    }

    /// Takes a contact that came.
    pub fn note(&self, update: &ContactUpdate) {
        let action = &update.action;
        let other = [&action.lid_jid, &action.pn_jid];
        let other = other
            .into_iter()
            .flatten()
            .filter_map(|jid| jid.parse::<Jid>().ok());
        let jids: Vec<Jid> = other.chain([update.jid.clone()]).collect();
        let contact = SavedContact {
            person: people::person(&jids),
            name: action.full_name.clone().filter(|name| !name.is_empty()),
            first_name: action.first_name.clone().filter(|name| !name.is_empty()),
        };
        let Some(key) = contact.key() else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_whole |= update.from_full_sync;
        if waiting.contacts.len() < CAPACITY {
            waiting.contacts.insert(key.to_jid(), contact);
        } else {
            warn!("an address book has too many contacts at once; the rest is left out");
        }
    }
}

#[async_trait]
impl Ahead for Contacts {
    async fn store(&self, collection: &str) -> Result<(), AheadError> {
        if collection != WAPatchName::CriticalUnblockLow.as_str() {
            return Ok(());
        }
        let _alone = self.storing.lock().await;
        let taken = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.contacts.is_empty() {
            return Ok(());
        }
        // A book that comes in several parts is begun anew with the first of them.
        let is_whole = taken.is_whole && !self.was_replaced.load(Ordering::Relaxed);
        let contacts: Vec<SavedContact> = taken.contacts.values().cloned().collect();
        match self.book.save(&contacts, is_whole).await {
            Ok(()) => {
                self.was_replaced.fetch_or(is_whole, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.is_whole |= taken.is_whole;
                for (key, contact) in taken.contacts {
                    // What came meanwhile is newer.
                    waiting.contacts.entry(key).or_insert(contact);
                }
                Err(Box::new(error))
            }
        }
    }
}

/// Names stay out of logs.
impl fmt::Debug for Contacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contacts").finish_non_exhaustive()
    }
}
