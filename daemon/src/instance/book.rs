//! Stores what a session tells of its phone's address book, before the library notes that it has come so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use shared::domain::address_book::SavedContact;
use shared::domain::person::Person;
use shared::ids::InstanceId;
use shared::sealed;
use shared::session_state::Fence;
use shared::storage::address_books::{AddressBooks, PARTS, Written, part_of};
use shared::storage::keys::book_part;
use shared::telemetry::chain;
use tracing::warn;

use crate::connection::{AddressBook, BookError, CommitError};
use crate::deps::Deps;

/// How many parts of a book are written at once.
const AT_ONCE: usize = 8;

/// Most contacts of a part. A part with more would outgrow its item; phones have some thousand contacts in all.
const MOST: usize = 1_000;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A part's contacts, by their keys' JIDs.
type Contacts = BTreeMap<String, SavedContact>;

/// The address book of an instance's phone.
#[derive(Debug)]
pub struct Book {
    deps: Arc<Deps>,
    books: AddressBooks,
    instance: InstanceId,
    fence: Fence,
}

impl Book {
    /// The book of this instance, as the owner with this fence writes it.
    pub fn new(deps: Arc<Deps>, instance: InstanceId, fence: Fence) -> Self {
        Self {
            books: AddressBooks::new(deps.table.clone()),
            deps,
            instance,
            fence,
        }
    }

    /// Forgets it: the phone has unlinked the instance.
    pub async fn forget(&self) {
        if let Err(error) = self.books.forget(self.instance).await {
            warn!(instance.id = %self.instance, error = %chain(&error), "the address book of an unlinked phone could not be removed");
        }
    }

    /// Changes one part: to these contacts alone, or with these among the others.
    async fn write(&self, part: u8, contacts: Contacts, is_whole: bool) -> Result<(), Cause> {
        let of = book_part(self.instance, part).path();
        let keys = &self.deps.sealer;
        let before = match self.books.get(self.instance, part).await? {
            Some(sealed) => {
                match sealed::open::<Vec<SavedContact>>(keys, self.instance, &of, &sealed).await {
                    Ok(before) => before,
                    Err(error) if error.nature().is_permanent() => {
                        warn!(instance.id = %self.instance, error = %chain(&error), "a part of an address book is begun anew");
                        Vec::new()
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            None => Vec::new(),
        };
        let mut after = if is_whole {
            Contacts::new()
        } else {
            by_key(before.iter().cloned())
        };
        after.extend(contacts);
        if after.len() > MOST {
            warn!(instance.id = %self.instance, "an address book is too large; the rest of a part is left out");
        }
        let after: Vec<SavedContact> = after.into_values().take(MOST).collect();
        if after == before {
            return Ok(());
        }
        let sealed = sealed::seal(keys, self.instance, &of, &after).await?;
        let token = self.fence.token();
        if self.books.put(self.instance, token, part, &sealed).await? == Written::Fenced {
            self.fence.revoke();
        }
        Ok(())
    }
}

fn unread(error: impl Into<Cause>) -> BookError {
    BookError(error.into())
}

fn by_key(contacts: impl IntoIterator<Item = SavedContact>) -> Contacts {
    let keyed = contacts
        .into_iter()
        .filter_map(|contact| Some((contact.key()?.to_jid(), contact)));
    keyed.collect()
}

#[async_trait]
impl AddressBook for Book {
    async fn save(&self, contacts: &[SavedContact], is_whole: bool) -> Result<(), CommitError> {
        if self.fence.is_revoked() {
            return Ok(());
        }
        let mut parts: BTreeMap<u8, Contacts> = BTreeMap::new();
        if is_whole {
            parts.extend((0..PARTS).map(|part| (part, Contacts::new())));
        }
        for contact in contacts {
            let Some(key) = contact.key() else { continue };
            let part = parts.entry(part_of(&key)).or_default();
            part.insert(key.to_jid(), contact.clone().shortened());
        }
        let writing =
            futures::stream::iter(parts).map(|(part, contacts)| self.write(part, contacts, is_whole));
        let written = writing.buffer_unordered(AT_ONCE).try_collect::<()>().await;
        written.map_err(CommitError)
    }

    async fn people(&self) -> Result<Vec<Person>, BookError> {
        let (keys, mut people, mut from) = (&self.deps.sealer, Vec::new(), Some(0));
        while let Some(part) = from {
            let (parts, next) = self.books.list(self.instance, part).await.map_err(unread)?;
            for (part, sealed) in parts {
                let of = book_part(self.instance, part).path();
                let opening = sealed::open::<Vec<SavedContact>>(keys, self.instance, &of, &sealed);
                let contacts = opening.await.map_err(unread)?;
                people.extend(contacts.into_iter().map(|contact| contact.person));
            }
            from = next;
        }
        Ok(people)
    }
}
