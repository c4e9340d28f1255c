//! Checks that this configuration is for the table. A daemon checks when it starts. A function's process may start
//! while the table is away, and lives on while others deploy, so it checks now and then with its requests.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use shared::storage::setup::{self, Mismatch};

use crate::http::{ApiError, log};
use crate::state::Services;

/// How long an agreement is believed. A check costs half a read unit.
const BELIEVED: TimeDelta = TimeDelta::minutes(15);

/// How long a mismatch is believed: a deployment under way mends it.
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
    /// Lets a request go on if the table and the configuration agree. If the table does not answer it goes on as
    /// well, and finds out by itself what it needs of the table.
    ///
    /// The number of shards may grow while functions with the old number serve, and an instance's shard is on its
    /// item. So a process that has agreed once goes on with fewer shards, as a daemon does. It never goes on with a
    /// newer layout, which it could read or write wrongly.
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
