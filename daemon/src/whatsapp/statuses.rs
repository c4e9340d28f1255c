//! Status updates: who sees them, and how they go out.
//!
//! WhatsApp keeps no list of those who see an account's statuses: each sender makes it, of the address book and of what the
//! account's owner has set in the app. So both are read for each status. Statuses are rare, and nobody is to see one whom the
//! owner has taken out a minute ago.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use tokio::time::Instant;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::Client;
use whatsapp_rust::features::{ContactError, StatusPrivacySetting, StatusSendOptions};

use super::absent::Absent;
use super::status_privacy::{Privacy, ReadPrivacy};
use super::{failure, people};
use crate::connection::{AddressBook, Audience, Chosen, SendError};

/// How many numbers WhatsApp is asked for in one question.
const AT_ONCE: usize = 200;

/// How many names are looked for in the session's store at once.
const NAMES_AT_ONCE: usize = 32;

/// An account's status updates.
pub struct Statuses {
    book: Arc<dyn AddressBook>,
    absent: Mutex<Absent>,
}

impl Statuses {
    /// Those of the account with this address book.
    pub fn new(book: Arc<dyn AddressBook>) -> Self {
        Self {
            book,
            absent: Mutex::default(),
        }
    }

    /// Those who see what the account shows now. Broken off, it goes on the next time where it was.
    pub async fn audience(&self, client: &Client) -> Result<Audience, SendError> {
        if client.lid().is_none() {
            return Err(no_lid());
        }
        let privacy = client.execute(ReadPrivacy).await.map_err(failure::of_question)?;
        let book = match &privacy {
            Privacy::Only(people) => people.iter().map(|jid| people::person([jid])).collect(),
            Privacy::Contacts | Privacy::Except(_) => {
                let read = self.book.people().await;
                read.map_err(|error| SendError::State(Box::new(error)))?
            }
        };
        let mut people = self.on_whatsapp(client, book).await?;
        let chosen = match privacy {
            Privacy::Contacts => Chosen::Contacts,
            Privacy::Only(_) => Chosen::Only,
            Privacy::Except(left_out) => {
                let left_out: Vec<_> = left_out.iter().map(|jid| people::person([jid])).collect();
                let left_out = complete(client, left_out).await?;
                people.retain(|person| {
                    !left_out
                        .iter()
                        .any(|other| person.is_same_as(other) == Some(true))
                });
                Chosen::Except
            }
        };
        Ok(Audience { people, chosen })
    }

    /// Those of a book who are on WhatsApp, each once and by LID, without the account itself.
    async fn on_whatsapp(&self, client: &Client, mut book: Vec<Person>) -> Result<Vec<Person>, SendError> {
        {
            let mut absent = self.absent.lock().expect("no holder panics");
            absent.forget(Instant::now());
            book.retain(|person| !absent.has(person));
        }
        let (mut there, unknown): (Vec<_>, Vec<_>) = complete(client, book)
            .await?
            .into_iter()
            .partition(|person| person.lid.is_some());
        for asked in unknown.chunks(AT_ONCE) {
            let numbers = asked.iter().filter_map(|person| person.phone.as_deref());
            let numbers: Vec<Jid> = numbers.map(Jid::pn).collect();
            // The library learns the LIDs of those who are there.
            let asking = client.contacts().is_on_whatsapp(&numbers).await;
            asking.map_err(|error| match error {
                ContactError::Iq(error) => failure::of_question(error),
                other => SendError::Failed(Box::new(other)),
            })?;
            let found = complete(client, asked.to_vec()).await?;
            let mut absent = self.absent.lock().expect("no holder panics");
            absent.note(&found, Instant::now());
            there.extend(found.into_iter().filter(|person| person.lid.is_some()));
        }
        let by_lid: BTreeMap<String, Person> = there
            .into_iter()
            .filter_map(|person| Some((person.lid.clone()?, person)))
            .filter(|(lid, _)| !people::is_own(client, &Jid::lid(lid.as_str())))
            .collect();
        Ok(by_lid.into_values().collect())
    }
}

/// Writes a status to the wire, for these and for the account's own devices.
pub async fn show(
    client: &Client,
    id: String,
    message: wa::Message,
    audience: &Audience,
) -> Result<(), SendError> {
    let own = client.lid().ok_or_else(no_lid)?;
    let mut jids = vec![own.to_non_ad()];
    // Whoever has no LID is not among them.
    let lids = audience.people.iter().filter_map(|person| person.lid.as_deref());
    jids.extend(lids.map(Jid::lid));
    let options = StatusSendOptions {
        privacy: match audience.chosen {
            Chosen::Contacts => StatusPrivacySetting::Contacts,
            Chosen::Except => StatusPrivacySetting::DenyList,
            Chosen::Only => StatusPrivacySetting::AllowList,
        },
        message_id: Some(id),
        ..StatusSendOptions::default()
    };
    let sent = client.status().send_raw(message, &jids, options).await;
    sent.map(drop)
        .map_err(|error| failure::of_send(error, &Recipient::Status))
}

/// A status goes by LIDs, the account's own too. WhatsApp tells it when it likes.
fn no_lid() -> SendError {
    SendError::Unavailable("the account has no LID yet".into())
}

/// The people by both names, as far as the session knows them. The server is not asked.
async fn complete(client: &Client, people: Vec<Person>) -> Result<Vec<Person>, SendError> {
    let completing = people.into_iter().map(|mut person| async move {
        let known = match (&person.phone, &person.lid) {
            (Some(phone), None) => Jid::pn(phone.as_str()),
            (None, Some(lid)) => Jid::lid(lid.as_str()),
            _ => return Ok(person),
        };
        let entry = client.get_lid_pn_entry(&known).await;
        let entry = entry.map_err(|error| SendError::State(error.into()))?;
        if let Some(entry) = entry {
            person.phone.get_or_insert_with(|| entry.phone_number.to_string());
            person.lid.get_or_insert_with(|| entry.lid.to_string());
        }
        Ok(person)
    });
    stream::iter(completing)
        .buffered(NAMES_AT_ONCE)
        .try_collect()
        .await
}

/// Numbers stay out of logs.
impl fmt::Debug for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statuses").finish_non_exhaustive()
    }
}
