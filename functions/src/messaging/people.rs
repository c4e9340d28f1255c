//! The directory of each instance's people, as functions read it: through a short cache.
//!
//! A person's canonical chat does not change, so an entry that is a moment old is good for lanes and records.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::person::Acquaintance;
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
        if name.group().is_some() {
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

    fn remembered(&self, key: &(InstanceId, Recipient), now: DateTime<Utc>) -> Option<Acquaintance> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(key)?;
        let is_fresh = (TimeDelta::zero()..FRESH).contains(&(now - known.read_at));
        is_fresh.then(|| known.acquaintance.clone())
    }
}
