//! The network's whole state, in one `SQLite` file.
//!
//! One thread owns the connection and runs units of work one after another, each whole or not at all. What a unit did
//! is stored before its caller hears of it, so an acknowledgement never precedes the fact. Commits are what costs, so
//! units that wait at the same time share one. WAL with `synchronous=NORMAL` survives a killed process at any moment;
//! a power cut may lose the last units, each as a whole. What a unit wants to happen outside the store, such as
//! telling a client that its queue grew, is collected in [`Effects`] and happens only after the commit.
//!
//! Tables that grow with every message have keys in order, so that new rows go to their ends, and what is kept of a
//! bounded number of rows is cut back once in many rows ([`Unit::trims`]).

mod ids;
mod known;
pub(crate) mod queue;
mod schema;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use rusqlite::{CachedStatement, Connection};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::clock::Clock;
use crate::directory::Address;
use crate::error::{Error, Result};
use ids::Ids;
pub(crate) use known::Known;

/// Units of work that may wait for the store's thread; callers beyond that wait themselves.
const PENDING_UNITS: usize = 1024;

/// The most units that share a commit.
const SHARED_COMMIT: usize = 256;

/// What is kept of a bounded number of rows is cut back at the first row since the start, and then at each so many.
const TRIM_EVERY: u32 = 256;

/// What follows from a unit once it is committed.
#[derive(Debug, Default)]
pub struct Effects {
    /// Devices whose queue grew; some more than once.
    pub wake: Vec<Address>,
    /// Devices that no longer exist: their connection is to be closed.
    pub removed: Vec<Address>,
    /// Encoded stanzas for devices that are connected, lost on all others.
    pub passing: Vec<(Address, Vec<u8>)>,
    /// Whether some phone's inbox grew or changed.
    pub shown: bool,
    /// The phones in whose inboxes an entry changed that was there before.
    pub amended: BTreeSet<String>,
    /// Whether a phone got something to answer, or was turned on.
    pub answers: bool,
    /// Whether a phone got media to fetch.
    pub media: bool,
}

impl Effects {
    /// Adds what follows from a later unit.
    fn add(&mut self, later: Self) {
        let Self {
            wake,
            removed,
            passing,
            shown,
            amended,
            answers,
            media,
        } = later;
        self.wake.extend(wake);
        self.removed.extend(removed);
        self.passing.extend(passing);
        self.shown |= shown;
        self.amended.extend(amended);
        self.answers |= answers;
        self.media |= media;
    }
}

/// How many rows came since what is kept of them was cut back, by the kind of the rows and what they belong to.
type Tally = HashMap<&'static str, HashMap<String, u32>>;

/// One unit of work: all it does is stored together.
pub struct Unit<'c> {
    connection: &'c Connection,
    now_ms: i64,
    effects: Effects,
    /// What the unit has read already.
    known: RefCell<Known>,
    tally: &'c RefCell<Tally>,
    ids: &'c RefCell<Ids>,
}

impl Unit<'_> {
    /// A cached statement. One that writes accounts or devices makes the unit forget what it knows of them.
    pub fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        if known::changes_people(sql) {
            self.known.borrow_mut().forget_people();
        }
        self.connection.prepare_cached(sql)
    }

    /// What the unit has read already.
    pub(crate) fn known(&self) -> std::cell::RefMut<'_, Known> {
        self.known.borrow_mut()
    }

    /// Counts a row of a `kind` of which each `owner` keeps a bounded number. `true` where it is time to cut back to that
    /// number: at the first row since the start, then at each [`TRIM_EVERY`]. Looking each time would cost as much as
    /// there are rows.
    pub(crate) fn trims(&self, kind: &'static str, owner: &str) -> bool {
        let mut tally = self.tally.borrow_mut();
        let of_kind = tally.entry(kind).or_default();
        let Some(count) = of_kind.get_mut(owner) else {
            of_kind.insert(owner.to_owned(), 0);
            return true;
        };
        *count = (*count + 1) % TRIM_EVERY;
        *count == 0
    }

    /// Runs one statement; answers the number of rows changed.
    pub fn execute<P: rusqlite::Params>(&self, sql: &str, params: P) -> rusqlite::Result<usize> {
        self.prepare(sql)?.execute(params)
    }

    /// The unit's time, milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The unit's time, seconds since the Unix epoch.
    pub fn now_secs(&self) -> i64 {
        self.now_ms / 1000
    }

    /// Wakes whoever serves `address` after the commit.
    pub fn wake(&mut self, address: &Address) {
        if !self.effects.wake.contains(address) {
            self.effects.wake.push(address.clone());
        }
    }

    /// Closes the connection of `address` after the commit, as a removed device's.
    pub fn removed(&mut self, address: Address) {
        self.effects.removed.push(address);
    }

    /// Sends a stanza to `address` after the commit, if it is connected then and has room for it.
    pub fn pass(&mut self, address: Address, node: &wacore_binary::Node) -> Result<()> {
        let payload = crate::wire::encode(node)?;
        self.effects.passing.push((address, payload));
        Ok(())
    }

    /// Lets phones give the answers whose time has come, after the commit.
    pub fn answers_due(&mut self) {
        self.effects.answers = true;
    }

    /// Tells those who watch inboxes after the commit that one grew.
    pub fn shown(&mut self) {
        self.effects.shown = true;
    }

    /// Tells those who watch the inbox of `phone` after the commit that an entry changed.
    pub fn amended(&mut self, phone: impl Into<String>) {
        self.effects.shown = true;
        self.effects.amended.insert(phone.into());
    }

    /// Lets phones fetch the media that they got, after the commit.
    pub fn fetch_media(&mut self) {
        self.effects.media = true;
    }

    /// A value of the server's own.
    pub fn meta(&self, key: &str) -> Result<Option<Vec<u8>>> {
        use rusqlite::OptionalExtension as _;
        Ok(self
            .prepare("SELECT value FROM meta WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?)
    }

    /// Stores a value of the server's own.
    pub fn set_meta(&self, key: &str, value: &[u8]) -> Result<()> {
        self.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
            (key, value),
        )?;
        Ok(())
    }
}

type Hook = Box<dyn Fn(Effects) + Send>;

/// What the store's thread owns.
struct Worker {
    connection: Connection,
    clock: std::sync::Arc<dyn Clock>,
    committed: Hook,
    tally: RefCell<Tally>,
    ids: RefCell<Ids>,
}

/// Tells a unit's caller, once it is known whether the commit succeeded.
type Reply = Box<dyn FnOnce(Result<(), &rusqlite::Error>)>;

/// A unit that has run and is not committed yet.
struct Run {
    effects: Effects,
    reply: Reply,
}

impl Worker {
    /// Runs one unit inside the open transaction; an error undoes that unit alone.
    fn unit<T>(&mut self, work: impl FnOnce(&mut Unit<'_>) -> Result<T>) -> Result<(T, Effects)> {
        let connection = &self.connection;
        run(connection, "SAVEPOINT unit")?;
        let mut unit = Unit {
            connection,
            now_ms: self.clock.now_ms(),
            effects: Effects::default(),
            known: RefCell::default(),
            tally: &self.tally,
            ids: &self.ids,
        };
        let all = || -> Result<T> {
            let value = work(&mut unit)?;
            Known::store(&unit)?;
            Ok(value)
        };
        // What it holds is undone like that of any unit that fails. Others must not end with it.
        let done = catch_unwind(AssertUnwindSafe(all)).unwrap_or(Err(Error::Panicked));
        match done {
            // The engine has rolled all of the transaction back, and the savepoint with it.
            Err(error) if connection.is_autocommit() => Err(error),
            Ok(value) => {
                let effects = unit.effects;
                run(connection, "RELEASE unit")?;
                Ok((value, effects))
            }
            Err(error) => {
                run(connection, "ROLLBACK TO unit")?;
                run(connection, "RELEASE unit")?;
                Err(error)
            }
        }
    }

    /// The same, unless no transaction is open: it could not begin, or the engine has rolled it back, as it does where the disk is
    /// full. A savepoint would then begin one of its own, and store what its caller is told is not stored.
    fn unit_of_batch<T>(&mut self, work: impl FnOnce(&mut Unit<'_>) -> Result<T>) -> Result<(T, Effects)> {
        if self.connection.is_autocommit() {
            return Err(Error::Commit("no transaction is open".into()));
        }
        self.unit(work)
    }

    /// Runs units and commits them together; only then are their callers told, in the order of the units.
    fn batch(&mut self, units: impl Iterator<Item = Work>) {
        let begun = run(&self.connection, "BEGIN IMMEDIATE");
        let (mut effects, mut replies) = (Effects::default(), Vec::new());
        for unit in units {
            let Run {
                effects: its_own,
                reply,
            } = unit(self);
            effects.add(its_own);
            replies.push(reply);
        }
        let committed = begun.and_then(|()| run(&self.connection, "COMMIT"));
        if committed.is_ok() {
            (self.committed)(effects);
        } else if !self.connection.is_autocommit() {
            // What cannot be committed must not be left open for the next units.
            if let Err(error) = run(&self.connection, "ROLLBACK") {
                error!(%error, "the store cannot roll back");
            }
        }
        for reply in replies {
            reply(committed.as_ref().copied());
        }
        self.settle();
    }

    /// Does what is put off until there is much of it.
    fn settle(&mut self) {
        if let Err(error) = self.ids.get_mut().settle(&self.connection) {
            error!(%error, "the ids of messages stay out of their index for now");
        }
    }
}

/// Runs a statement that has no parameters, prepared once.
fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

type Work = Box<dyn FnOnce(&mut Worker) -> Run + Send>;

enum Job {
    Run(Work),
    Stop,
}

/// Serves jobs until it is told to stop, or nobody can send any more.
fn serve(mut worker: Worker, mut inbox: mpsc::Receiver<Job>) {
    let mut stop = false;
    while !stop && let Some(first) = inbox.blocking_recv() {
        let mut jobs = vec![first];
        while jobs.len() < SHARED_COMMIT
            && let Ok(job) = inbox.try_recv()
        {
            jobs.push(job);
        }
        let works = jobs.into_iter().filter_map(|job| match job {
            Job::Run(work) => Some(work),
            Job::Stop => {
                stop = true;
                None
            }
        });
        worker.batch(works);
    }
    // Closing writes the log back into the file, so that a stopped sandbox is one file.
    if let Err((_, error)) = worker.connection.close() {
        error!(%error, "the store did not close cleanly");
    }
}

/// A handle to the store's thread.
pub struct Store {
    jobs: mpsc::Sender<Job>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens (or makes) the state in `directory`, or in memory, and starts the thread.
    ///
    /// `committed` is called on that thread after each commit; it must not block.
    pub fn open(
        directory: Option<&Path>,
        clock: std::sync::Arc<dyn Clock>,
        committed: impl Fn(Effects) + Send + 'static,
    ) -> Result<Self> {
        let connection = schema::open(directory)?;
        let ids = Ids::load(&connection)?;
        let (jobs, inbox) = mpsc::channel(PENDING_UNITS);
        let worker = Worker {
            connection,
            clock,
            committed: Box::new(committed),
            tally: RefCell::default(),
            ids: RefCell::new(ids),
        };
        let thread = std::thread::Builder::new()
            .name("sandbox-store".into())
            .spawn(move || serve(worker, inbox))
            .map_err(|error| Error::codec("the store's thread", error))?;
        Ok(Self {
            jobs,
            thread: std::sync::Mutex::new(Some(thread)),
        })
    }

    /// Runs `work` as one unit. An error undoes all of it; an answer means that it is stored.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Unit<'_>) -> Result<T> + Send + 'static,
    {
        self.submit(work).await?.await
    }

    /// Queues `work` as one unit, behind all that was submitted before. The answer is that of [`Store::run`], and the
    /// caller may submit more before it has come.
    ///
    /// # Errors
    /// [`Error::Stopped`] once the store is closed.
    pub async fn submit<T, F>(&self, work: F) -> Result<Answer<T>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Unit<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Job::Run(Box::new(move |worker| {
            let (done, effects) = match worker.unit_of_batch(work) {
                Ok((value, effects)) => (Ok(value), effects),
                Err(error) => (Err(error), Effects::default()),
            };
            let reply: Reply = Box::new(move |committed| {
                let result = match (committed, done) {
                    (Ok(()), done) => done,
                    (_, Err(error)) => Err(error),
                    (Err(error), Ok(_)) => Err(Error::Commit(error.to_string())),
                };
                // A caller that went away (a closed connection) leaves its work committed all the same.
                let _ = reply.send(result);
            });
            Run { effects, reply }
        }));
        self.jobs.send(job).await.map_err(|_| Error::Stopped)?;
        Ok(Answer(answer))
    }

    /// Finishes what is queued, closes the file and ends the thread.
    pub async fn close(&self) {
        if self.jobs.send(Job::Stop).await.is_err() {
            return;
        }
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                error!("the store's thread ended abnormally");
            }
        }
    }
}

/// The answer of a unit that was submitted: its value once it is stored, or its error.
pub struct Answer<T>(oneshot::Receiver<Result<T>>);

impl<T> Future for Answer<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(context);
        answer.map(|answer| answer.unwrap_or(Err(Error::Stopped)))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A store in memory for unit tests: units run on the calling thread.

    use super::*;

    /// Runs units against one in-memory connection.
    pub(crate) struct Bench {
        worker: Worker,
    }

    impl Bench {
        pub(crate) fn new() -> Self {
            let connection = schema::open(None).expect("an in-memory store opens");
            let clock = std::sync::Arc::new(crate::clock::SystemClock);
            let ids = Ids::load(&connection).expect("an empty store");
            Self {
                worker: Worker {
                    connection,
                    clock,
                    committed: Box::new(|_| ()),
                    tally: RefCell::default(),
                    ids: RefCell::new(ids),
                },
            }
        }

        pub(crate) fn run<T>(&mut self, work: impl FnOnce(&mut Unit<'_>) -> Result<T>) -> T {
            self.attempt(work).expect("the unit succeeds")
        }

        /// The same for a unit that may fail.
        pub(crate) fn attempt<T>(&mut self, work: impl FnOnce(&mut Unit<'_>) -> Result<T>) -> Result<T> {
            let done = self.worker.unit(work).map(|(value, _)| value);
            self.worker.settle();
            done
        }
    }
}

#[cfg(test)]
mod tests;
