//! Whether the table is the one that this configuration is for. A daemon asks when it starts; a function's process may be
//! started while the table is away, and lives on while others deploy, so it asks with its requests, now and then.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use shared::storage::setup::{self, Mismatch};

use crate::http::{ApiError, log};
use crate::state::Services;

/// How long the table's word is believed. Asking costs half a read unit.
const BELIEVED: TimeDelta = TimeDelta::minutes(15);

/// How long a mismatch is believed: a deployment that goes on mends it.
const DOUBTED: TimeDelta = TimeDelta::seconds(5);

/// [`DOUBTED`] as callers are told it.
const DOUBTED_SECONDS: u32 = 5;

/// What the table said last.
#[derive(Debug, Default)]
pub struct Setup(Mutex<Option<Word>>);

#[derive(Debug, Clone, Copy)]
struct Word {
    said: Result<(), Mismatch>,
    /// Until when it is believed.
    until: DateTime<Utc>,
}

impl Setup {
    /// Lets a request go on where the table and the configuration agree. Where the table does not answer it goes on as well:
    /// what it needs of the table it asks for itself.
    ///
    /// Shards grow while functions of the old number serve, and an instance's shard is on its item: so a process that has
    /// agreed once goes on with fewer, as a daemon does. It never goes on with a newer layout, in which it could read and
    /// write what is wrong.
    ///
    /// # Errors
    /// `UNAVAILABLE` where they do not agree.
    pub async fn hold(&self, services: &Services) -> Result<(), ApiError> {
        let now = services.clock.now();
        let last = *self.0.lock().expect("no holder panics");
        let said = match last {
            Some(word) if now < word.until => word.said,
            _ => match setup::check(&services.table, services.shards).await {
                Ok(said) => {
                    let has_agreed = last.is_some_and(|word| word.said.is_ok());
                    let said = match said {
                        Err(Mismatch::FewerShards { .. }) if has_agreed => Ok(()),
                        said => said,
                    };
                    let term = if said.is_ok() { BELIEVED } else { DOUBTED };
                    let until = now + term;
                    *self.0.lock().expect("no holder panics") = Some(Word { said, until });
                    said
                }
                Err(error) => {
                    log::went_wrong(&error.into(), "the table's configuration could not be read");
                    return Ok(());
                }
            },
        };
        said.map_err(|mismatch| ApiError::unavailable(DOUBTED_SECONDS).caused_by(mismatch))
    }
}
