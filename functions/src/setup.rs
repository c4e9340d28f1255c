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

/// What the table said last, and until when that is believed.
#[derive(Debug, Default)]
pub struct Setup(Mutex<Option<(Result<(), Mismatch>, DateTime<Utc>)>>);

impl Setup {
    /// Lets a request go on where the table and the configuration agree. Where the table does not answer it goes on as well:
    /// what it needs of the table it asks for itself.
    ///
    /// # Errors
    /// `UNAVAILABLE` where they do not agree.
    pub async fn hold(&self, services: &Services) -> Result<(), ApiError> {
        let now = services.clock.now();
        let known = *self.0.lock().expect("no holder panics");
        let word = match known {
            Some((word, until)) if now < until => word,
            _ => match setup::check(&services.table, services.shards).await {
                Ok(word) => {
                    let term = if word.is_ok() { BELIEVED } else { DOUBTED };
                    *self.0.lock().expect("no holder panics") = Some((word, now + term));
                    word
                }
                Err(error) => {
                    log::went_wrong(&error.into(), "the table's configuration could not be read");
                    return Ok(());
                }
            },
        };
        word.map_err(|mismatch| ApiError::unavailable(DOUBTED_SECONDS).caused_by(mismatch))
    }
}

/// [`DOUBTED`] as callers are told it.
const DOUBTED_SECONDS: u32 = 5;
