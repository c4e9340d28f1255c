//! The network's whole state, in one `SQLite` file.
//!
//! One thread owns the connection and runs units of work one after another, each whole or not at all. What a unit did
//! is stored before its caller hears of it, so an acknowledgement never precedes the fact. Commits are what costs, so
//! units that wait at the same time share one. WAL with `synchronous=NORMAL` survives a killed process at any moment;
//! a power cut may lose the last units, each as a whole. What a unit wants to happen outside the store, such as
//! telling a client that its queue grew, is collected in [`Effects`] and happens only after the commit.

pub(crate) mod queue;
mod schema;

use std::path::Path;
use std::thread::JoinHandle;

use rusqlite::{CachedStatement, Connection};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::clock::Clock;
use crate::directory::Address;
use crate::error::{Error, Result};

/// Units of work that may wait for the store's thread; callers beyond that wait themselves.
const PENDING_UNITS: usize = 1024;

/// The most units that share a commit.
const SHARED_COMMIT: usize = 64;

/// What follows from a unit once it is committed.
#[derive(Debug, Default)]
pub struct Effects {
    /// Devices whose queue grew.
    pub wake: Vec<Address>,
    /// Devices that no longer exist: their connection is to be closed.
    pub removed: Vec<Address>,
    /// Encoded stanzas for devices that are connected, lost on all others.
    pub passing: Vec<(Address, Vec<u8>)>,
    /// Whether some phone's inbox changed.
    pub shown: bool,
    /// Whether a phone got something to answer, or was turned on.
    pub answers: bool,
    /// Whether a phone got media to fetch.
    pub media: bool,
}

/// One unit of work: all it does is stored together.
pub struct Unit<'c> {
    connection: &'c Connection,
    now_ms: i64,
    effects: Effects,
}

impl Unit<'_> {
    /// A cached statement.
    pub fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql)
    }

    /// Runs one statement; answers the number of rows changed.
    pub fn execute<P: rusqlite::Params>(&self, sql: &str, params: P) -> rusqlite::Result<usize> {
        self.prepare(sql)?.execute(params)
    }

    /// The row id of the last insert.
    pub fn last_insert_id(&self) -> i64 {
        self.connection.last_insert_rowid()
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

    /// Tells those who watch inboxes after the commit.
    pub fn shown(&mut self) {
        self.effects.shown = true;
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
}

/// Tells a unit's caller, once it is known whether the commit succeeded.
type Finish = Box<dyn FnOnce(Result<(), &rusqlite::Error>, &Hook)>;

impl Worker {
    /// Runs one unit inside the open transaction; an error undoes that unit alone.
    fn unit<T>(&mut self, work: impl FnOnce(&mut Unit<'_>) -> Result<T>) -> Result<(T, Effects)> {
        let connection = &self.connection;
        connection.execute_batch("SAVEPOINT unit")?;
        let mut unit = Unit {
            connection,
            now_ms: self.clock.now_ms(),
            effects: Effects::default(),
        };
        match work(&mut unit) {
            Ok(value) => {
                let effects = unit.effects;
                connection.execute_batch("RELEASE unit")?;
                Ok((value, effects))
            }
            Err(error) => {
                connection.execute_batch("ROLLBACK TO unit; RELEASE unit")?;
                Err(error)
            }
        }
    }

    /// Runs units and commits them together; only then are their callers told.
    fn batch(&mut self, units: impl Iterator<Item = Work>) {
        // If this fails, each unit is stored by itself, and its caller is told that it may not be stored: better than
        // the reverse.
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        let finishes: Vec<Finish> = units.map(|unit| unit(self)).collect();
        let committed = begun.and_then(|()| self.connection.execute_batch("COMMIT"));
        if committed.is_err() && !self.connection.is_autocommit() {
            // What cannot be committed must not be left open for the next units.
            if let Err(error) = self.connection.execute_batch("ROLLBACK") {
                error!(%error, "the store cannot roll back");
            }
        }
        for finish in finishes {
            finish(committed.as_ref().copied(), &self.committed);
        }
    }
}

type Work = Box<dyn FnOnce(&mut Worker) -> Finish + Send>;

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
    /// `committed` is called on that thread after each unit; it must not block.
    pub fn open(
        directory: Option<&Path>,
        clock: std::sync::Arc<dyn Clock>,
        committed: impl Fn(Effects) + Send + 'static,
    ) -> Result<Self> {
        let connection = schema::open(directory)?;
        let (jobs, inbox) = mpsc::channel(PENDING_UNITS);
        let worker = Worker {
            connection,
            clock,
            committed: Box::new(committed),
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
        let (reply, answer) = oneshot::channel();
        let job = Job::Run(Box::new(move |worker| {
            let done = worker.unit(work);
            Box::new(move |committed, hook| {
                let result = match (committed, done) {
                    (Ok(()), Ok((value, effects))) => {
                        hook(effects);
                        Ok(value)
                    }
                    (_, Err(error)) => Err(error),
                    (Err(error), Ok(_)) => Err(Error::Commit(error.to_string())),
                };
                // A caller that went away (a closed connection) leaves its work committed all the same.
                let _ = reply.send(result);
            })
        }));
        self.jobs.send(job).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
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
            Self {
                worker: Worker {
                    connection,
                    clock,
                    committed: Box::new(|_| ()),
                },
            }
        }

        pub(crate) fn run<T>(&mut self, work: impl FnOnce(&mut Unit<'_>) -> Result<T>) -> T {
            self.worker.unit(work).expect("the unit succeeds").0
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn a_failed_unit_leaves_nothing_and_no_effects() {
        let woken = Arc::new(Mutex::new(0));
        let seen = Arc::clone(&woken);
        let store = Store::open(None, Arc::new(SystemClock), move |effects| {
            *seen.lock().unwrap() += effects.wake.len();
        })
        .unwrap();
        let failed: Result<()> = store
            .run(|unit| {
                unit.set_meta("a", b"1")?;
                unit.wake(&Address::primary("155501000001"));
                Err(Error::Conflict("no".into()))
            })
            .await;
        assert!(matches!(failed, Err(Error::Conflict(_))));
        assert_eq!(store.run(|unit| unit.meta("a")).await.unwrap(), None);
        assert_eq!(*woken.lock().unwrap(), 0);
        store.close().await;
        assert!(matches!(store.run(|_| Ok(())).await, Err(Error::Stopped)));
    }

    #[tokio::test]
    async fn every_unit_of_a_crowd_is_answered_and_only_the_good_are_stored() {
        let store = Store::open(None, Arc::new(SystemClock), |_| ()).unwrap();
        let units = (0..5 * SHARED_COMMIT).map(|n| {
            store.run(move |unit| {
                unit.set_meta(&format!("crowd-{n}"), b"x")?;
                if n % 3 == 0 {
                    Err(Error::Conflict("no".into()))
                } else {
                    Ok(n)
                }
            })
        });
        let answers = futures::future::join_all(units).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.ok(), (n % 3 != 0).then_some(n));
            let stored = store
                .run(move |unit| unit.meta(&format!("crowd-{n}")))
                .await
                .unwrap();
            assert_eq!(stored.is_some(), n % 3 != 0, "unit {n}");
        }
        store.close().await;
    }

    #[tokio::test]
    async fn the_state_outlives_the_process() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0_u8..2 {
            let store = Store::open(Some(directory.path()), Arc::new(SystemClock), |_| ()).unwrap();
            let before = store.run(|unit| unit.meta("round")).await.unwrap();
            assert_eq!(before, round.checked_sub(1).map(|last| vec![last]));
            store
                .run(move |unit| unit.set_meta("round", &[round]))
                .await
                .unwrap();
            store.close().await;
        }
    }
}
