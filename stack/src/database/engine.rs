//! Requests to the engine, and when they may be answered.
//!
//! A request is a DynamoDB operation's name and its JSON. It runs on the caller's thread, one at a time, as the engine has it.
//! A write is answered once it is on disk. So is a read that may have seen a write which is not on disk yet: nobody is told
//! of a change that a power cut could take back.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use dynoxide::actions::{
    batch_get_item::BatchGetItemRequest, delete_item::DeleteItemRequest, get_item::GetItemRequest,
    put_item::PutItemRequest, update_item::UpdateItemRequest,
};
use dynoxide::{AttributeValue, Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::disk::{self, Disk};
use super::reach::{Reach, batch_written, partitions, queried, transacted};
use super::writes::Writes;

/// An answer as DynamoDB gives it: an HTTP status and a JSON document.
#[derive(Debug)]
pub struct Answer {
    /// 200, or the status of the error.
    pub status: u16,
    /// The operation's result, or `{"__type", "message"}`.
    pub body: String,
}

/// What a request does with what it reaches.
#[derive(Debug, Clone, Copy)]
enum Access {
    Read,
    /// All of it or nothing.
    Write,
    /// One item after the other.
    WriteEach,
}

/// The engine, and which of its writes are on disk.
pub struct Engine {
    state: Mutex<State>,
    /// `None` in memory, where nothing is kept.
    disk: Option<Disk>,
    broken: CancellationToken,
}

struct State {
    /// `None` once it is closed.
    database: Option<Database>,
    writes: Writes,
}

impl Engine {
    /// Opens the database in this file, or in memory.
    pub fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let (database, disk) = match file {
            Some(file) => {
                let path = file.to_str().context("the data directory's name is not UTF-8")?;
                disk::settle(file)?;
                let database =
                    Database::new(path).with_context(|| format!("cannot open {}", file.display()))?;
                // Sets `synchronous = NORMAL`: the engine's own commits sync no longer. `Disk` does.
                database
                    .disable_bulk_loading()
                    .context("cannot set up the database")?;
                (database, Some(Disk::under(file)?))
            }
            None => (
                Database::memory().context("cannot open a database in memory")?,
                None,
            ),
        };
        Ok(Self::over(database, disk))
    }

    fn over(database: Database, disk: Option<Disk>) -> Self {
        let state = State {
            database: Some(database),
            writes: Writes::default(),
        };
        let broken = disk
            .as_ref()
            .map_or_else(CancellationToken::new, |disk| disk.broken().clone());
        Self {
            state: Mutex::new(state),
            disk,
            broken,
        }
    }

    /// Cancelled once it can do nothing more: it panicked, or its disk failed. What was answered is kept. Only a new
    /// process helps.
    pub fn broken(&self) -> &CancellationToken {
        &self.broken
    }

    /// Closes the file. Whoever asks later is told that nobody answers.
    pub fn close(&self) {
        self.state().database = None;
    }

    /// Removes items whose time is over. Answers how many.
    pub fn sweep(&self) -> Result<usize, DynoxideError> {
        // Others ask meanwhile.
        let Some(database) = self.state().database.clone() else {
            return Ok(0);
        };
        self.guarded(|| database.sweep_ttl())
    }

    /// A panic leaves the database locked for good, so it is the end of the engine.
    fn guarded<A>(&self, act: impl FnOnce() -> dynoxide::Result<A>) -> dynoxide::Result<A> {
        catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
            error!("the table's engine panicked");
            self.broken.cancel();
            Err(broken())
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is asked, and answers once that is on disk.
    pub async fn answer(&self, operation: &str, request: &[u8]) -> Answer {
        let (answer, after) = self.begin(operation, request);
        match (&self.disk, after) {
            (Some(disk), Some(write)) => match disk.until(write).await {
                Ok(()) => answer,
                Err(lost) => DynoxideError::InternalServerError(lost.to_string()).into(),
            },
            _ => answer,
        }
    }

    /// Does what is asked. Answers also which write must be on disk before anybody is told.
    fn begin(&self, operation: &str, request: &[u8]) -> (Answer, Option<u64>) {
        let one = |item: &HashMap<String, AttributeValue>| partitions([item]);
        match operation {
            "GetItem" => self.perform(
                Access::Read,
                request,
                |get: &GetItemRequest| one(&get.key),
                Database::get_item,
            ),
            "BatchGetItem" => {
                let reach = |get: &BatchGetItemRequest| {
                    partitions(get.request_items.values().flat_map(|of_table| &of_table.keys))
                };
                self.perform(Access::Read, request, reach, Database::batch_get_item)
            }
            "Query" => self.perform(Access::Read, request, queried, Database::query),
            "Scan" => self.perform(Access::Read, request, |_| Reach::Everything, Database::scan),
            "TransactGetItems" => self.perform(
                Access::Read,
                request,
                |_| Reach::Everything,
                Database::transact_get_items,
            ),
            "PutItem" => self.perform(
                Access::Write,
                request,
                |put: &PutItemRequest| one(&put.item),
                Database::put_item,
            ),
            "UpdateItem" => self.perform(
                Access::Write,
                request,
                |update: &UpdateItemRequest| one(&update.key),
                Database::update_item,
            ),
            "DeleteItem" => self.perform(
                Access::Write,
                request,
                |delete: &DeleteItemRequest| one(&delete.key),
                Database::delete_item,
            ),
            "BatchWriteItem" => self.perform(
                Access::WriteEach,
                request,
                batch_written,
                Database::batch_write_item,
            ),
            "TransactWriteItems" => {
                self.perform(Access::Write, request, transacted, Database::transact_write_items)
            }
            "CreateTable" => self.perform(
                Access::Write,
                request,
                |_| Reach::Everything,
                Database::create_table,
            ),
            "UpdateTimeToLive" => self.perform(
                Access::Write,
                request,
                |_| Reach::Everything,
                Database::update_time_to_live,
            ),
            "DescribeTable" => self.perform(
                Access::Read,
                request,
                |_| Reach::Everything,
                Database::describe_table,
            ),
            "DescribeTimeToLive" => self.perform(
                Access::Read,
                request,
                |_| Reach::Everything,
                Database::describe_time_to_live,
            ),
            "ListTables" => self.perform(
                Access::Read,
                request,
                |_| Reach::Everything,
                Database::list_tables,
            ),
            _ => {
                let unknown = format!("the embedded table does not know the operation {operation}");
                (DynoxideError::UnsupportedCapability(unknown).into(), None)
            }
        }
    }

    /// Does what is asked, once it is known how far that reaches.
    fn perform<Q: DeserializeOwned, A: Serialize>(
        &self,
        access: Access,
        request: &[u8],
        reach: impl FnOnce(&Q) -> Reach,
        act: impl FnOnce(&Database, Q) -> dynoxide::Result<A>,
    ) -> (Answer, Option<u64>) {
        let request = match parse::<Q>(request) {
            Ok(request) => request,
            Err(refusal) => return (refusal, None),
        };
        let reach = reach(&request);
        let mut state = self.state();
        if self.broken.is_cancelled() {
            return (broken().into(), None);
        }
        let answer = self.guarded(|| state.act(request, act));
        // A refusal tells what it has seen, as a read does. A failure may have written.
        let is_refused = match (&answer, access) {
            (Err(error), Access::Write) => changed_nothing(error),
            _ => false,
        };
        let after = match (&self.disk, access) {
            (Some(disk), Access::Write | Access::WriteEach) if !is_refused => {
                let write = state.writes.add(reach, disk);
                disk.want(write);
                write
            }
            _ => state.writes.seen_by(&reach),
        };
        drop(state);
        (answer.into(), self.unless_there(after))
    }

    fn unless_there(&self, write: u64) -> Option<u64> {
        let disk = self.disk.as_ref()?;
        (!disk.has(write)).then_some(write)
    }
}

impl State {
    fn act<Q, A>(
        &self,
        request: Q,
        act: impl FnOnce(&Database, Q) -> dynoxide::Result<A>,
    ) -> dynoxide::Result<A> {
        let closed = || DynoxideError::InternalServerError("the table is closed".to_owned());
        act(self.database.as_ref().ok_or_else(closed)?, request)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}

fn broken() -> DynoxideError {
    DynoxideError::InternalServerError("the table is broken".to_owned())
}

/// Whether a write that failed like this has certainly changed nothing.
fn changed_nothing(error: &DynoxideError) -> bool {
    matches!(
        error,
        DynoxideError::ConditionalCheckFailedException(..)
            | DynoxideError::TransactionCanceledException(..)
            | DynoxideError::ValidationException(_)
            | DynoxideError::KeyEmptyValueValidation(_)
            | DynoxideError::EnvelopedValidation(_)
    )
}

fn parse<Q: DeserializeOwned>(request: &[u8]) -> Result<Q, Answer> {
    serde_json::from_slice(request)
        .map_err(|error| DynoxideError::ValidationException(error.to_string()).into())
}

impl<A: Serialize> From<dynoxide::Result<A>> for Answer {
    fn from(result: dynoxide::Result<A>) -> Self {
        match result.map(|answer| serde_json::to_string(&answer)) {
            Ok(Ok(body)) => Self { status: 200, body },
            Ok(Err(error)) => DynoxideError::InternalServerError(error.to_string()).into(),
            Err(error) => error.into(),
        }
    }
}

impl From<DynoxideError> for Answer {
    fn from(error: DynoxideError) -> Self {
        Self {
            status: error.status_code(),
            body: error.to_json(),
        }
    }
}

#[cfg(test)]
mod tests;
