//! The directory of each instance's people, as functions read it: through a short cache.
//!
//! A person's canonical chat does not change, so an entry that is a moment old is good for lanes and records.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::person::{Acquaintance, Belief, LookedUp};
use shared::domain::question::Found;
use shared::domain::recipient::Recipient;
use shared::ids::InstanceId;
use shared::recent::Recent;
use shared::storage::people::People;
use shared::storage::{StorageError, Table};

use crate::http::log;

/// How long an entry is good.
const FRESH: TimeDelta = TimeDelta::seconds(5);

/// How many people a process remembers at least.
const REMEMBERED: usize = 5_000;

/// Who is who.
#[derive(Debug)]
pub struct Directory {
    people: People,
    known: Mutex<Recent<(InstanceId, Recipient), Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    acquaintance: Acquaintance,
    read_at: DateTime<Utc>,
}

impl Directory {
    /// The directories of this table.
    pub fn new(table: Table) -> Self {
        Self {
            people: People::new(table),
            known: Mutex::new(Recent::new(REMEMBERED)),
        }
    }

    /// Who this is to the instance. Somebody whom it has not met is a stranger, and so is a group. Half a read unit
    /// in five seconds for each name.
    pub async fn get(
        &self,
        instance: InstanceId,
        name: &Recipient,
        now: DateTime<Utc>,
    ) -> Result<Acquaintance, StorageError> {
        if name.is_shared() {
            return Ok(Acquaintance::stranger(name));
        }
        let key = (instance, name.clone());
        if let Some(known) = self.remembered(&key, now) {
            return Ok(known);
        }
        let found = match self.people.get(instance, name, now).await {
            Ok(found) => found,
            // An entry that cannot be read must not shut a chat: the person is met anew.
            Err(error @ StorageError::Corrupt { .. }) => {
                log::went_wrong(
                    &error.into(),
                    "an entry of the directory of people is passed over",
                );
                None
            }
            Err(error) => return Err(error),
        };
        let acquaintance = found.unwrap_or_else(|| Acquaintance::stranger(name));
        let known = Known {
            acquaintance: acquaintance.clone(),
            read_at: now,
        };
        let mut remembered = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.insert(key, known);
        Ok(acquaintance)
    }

    /// Takes what WhatsApp has just said of a contact. The daemon stores it too; until it has, this process goes by it
    /// already, so that a message to somebody who was just checked is not answered by what was known before.
    pub async fn hear(
        &self,
        instance: InstanceId,
        name: &Recipient,
        found: &Found,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let mut known = self.get(instance, name, now).await?;
        // As long as an entry is good.
        let until = now + FRESH;
        let is_there = match found {
            Found::There {
                person,
                business_name,
            } => {
                if known.person.is_same_as(person) == Some(false)
                    && !known.is_spelt(name.phone().unwrap_or_default())
                {
                    known = Acquaintance::stranger(name);
                }
                let spelling = name
                    .phone()
                    .filter(|digits| person.phone.as_deref().is_some_and(|known| known != *digits));
                if let Some(digits) = spelling.filter(|digits| !known.is_spelt(digits)) {
                    known.spellings.push(digits.to_owned());
                }
                known.person.phone = person.phone.clone().or(known.person.phone);
                known.person.lid = person.lid.clone().or(known.person.lid);
                let business_name = business_name.clone();
                known.looked_up = Some(LookedUp { business_name, until });
                true
            }
            Found::Absent => {
                known.looked_up = None;
                false
            }
            Found::Unsaid => return Ok(()),
        };
        known.on_whatsapp = Some(Belief { is_there, until });
        let mut remembered = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for name in known.names() {
            let known = Known {
                acquaintance: known.clone(),
                read_at: now,
            };
            remembered.insert((instance, name), known);
        }
        Ok(())
    }

    fn remembered(&self, key: &(InstanceId, Recipient), now: DateTime<Utc>) -> Option<Acquaintance> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(key)?;
        let is_fresh = (TimeDelta::zero()..FRESH).contains(&(now - known.read_at));
        is_fresh.then(|| known.acquaintance.clone())
    }
}
