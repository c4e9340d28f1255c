//! Checks that this configuration is for the table. A daemon checks when it starts. A function's process may start
//! while the table is away, and lives on while others deploy, so it checks now and then with its requests.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use shared::storage::setup::{self, Mismatch};
use shared::storage::{StorageError, Table};

/// How long an agreement is believed. A check costs half a read unit.
const BELIEVED: TimeDelta = TimeDelta::minutes(15);

/// How long a mismatch is believed: a deployment under way mends it.
const DOUBTED: TimeDelta = TimeDelta::seconds(5);

/// [`DOUBTED`] as callers are told it.
pub const DOUBTED_SECONDS: u32 = 5;

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
    /// Whether the table and a configuration with so many shards agree.
    ///
    /// The number of shards may grow while functions with the old number serve, and an instance's shard is on its
    /// item. So a process that has agreed once goes on with fewer shards, as a daemon does. It never goes on with a
    /// newer layout, which it could read or write wrongly.
    ///
    /// # Errors
    /// Where the table does not answer: nothing is known then.
    pub async fn agrees(
        &self,
        table: &Table,
        shards: u32,
        now: DateTime<Utc>,
    ) -> Result<Result<(), Mismatch>, StorageError> {
        let last = *self.0.lock().expect("no holder panics");
        if let Some(word) = last.filter(|word| now < word.until) {
            return Ok(word.said);
        }
        let said = match setup::check(table, shards).await? {
            Err(Mismatch::FewerShards { .. }) if last.is_some_and(|word| word.said.is_ok()) => Ok(()),
            said => said,
        };
        let term = if said.is_ok() { BELIEVED } else { DOUBTED };
        let until = now + term;
        *self.0.lock().expect("no holder panics") = Some(Word { said, until });
        Ok(said)
    }
}
