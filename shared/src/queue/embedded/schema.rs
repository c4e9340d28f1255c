//! The file: one `SQLite` database, opened by one process at a time. A copy may be made of it meanwhile, from outside.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::queue::QueueError;

/// How long an opener waits for a process that is just closing the file.
const OPEN_WAIT: Duration = Duration::from_secs(5);
/// How often it looks meanwhile.
const OPEN_PAUSE: Duration = Duration::from_millis(20);
/// Prepared statements that the connection keeps: more than the adapter uses.
const STATEMENTS: usize = 64;
/// Raised with every change of the tables.
const VERSION: i64 = 2;

/// Times are milliseconds since the Unix epoch, by the wall clock, so that they mean the same after a restart.
///
/// `messages.grp` is empty in standard queues. `messages.seq` gives the order; `AUTOINCREMENT` keeps it rising even
/// after the newest message is deleted. `messages_by_queue` ends in it, as every index does. Each group that has
/// messages has a `lanes` row, so that the first free groups are found along one index however long the groups are.
const TABLES: &str = "
CREATE TABLE queues (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    retention_ms INTEGER NOT NULL,
    dead_letter INTEGER REFERENCES queues (id),
    max_receives INTEGER
);
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL REFERENCES queues (id),
    grp TEXT NOT NULL,
    message_id TEXT NOT NULL,
    body TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    receive_count INTEGER NOT NULL,
    receipt TEXT,
    received_at INTEGER
);
CREATE INDEX messages_by_queue ON messages (queue);
CREATE INDEX messages_by_order ON messages (queue, grp, seq);
CREATE INDEX messages_by_visibility ON messages (queue, grp, visible_at);
CREATE INDEX messages_by_age ON messages (queue, sent_at);
CREATE TABLE lanes (
    queue INTEGER NOT NULL REFERENCES queues (id),
    grp TEXT NOT NULL,
    head INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    PRIMARY KEY (queue, grp)
) WITHOUT ROWID;
CREATE INDEX lanes_by_head ON lanes (queue, head);
CREATE TABLE sent (
    queue INTEGER NOT NULL REFERENCES queues (id),
    grp TEXT NOT NULL,
    dedup_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    forget_at INTEGER NOT NULL,
    PRIMARY KEY (queue, grp, dedup_id)
) WITHOUT ROWID;
CREATE INDEX sent_by_age ON sent (forget_at);
";

/// From a file of version 1. It does not tell when messages in flight were received, so their 12 h count from now on.
const FROM_1: &str = "
ALTER TABLE messages ADD COLUMN received_at INTEGER;
CREATE INDEX messages_by_queue ON messages (queue);
";

/// A newer program has written the file. Reading it wrongly could lose messages.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file is of version {0}, which a newer Waxwing has written: this one knows versions up to {VERSION}"
)]
struct Newer(i64);

/// Keeps the file for this opener until the lock is dropped: two processes on one file would not wake each other's long polls.
/// The lock is the operating system's, so a killed process leaves none behind. It is on a file of its own, so that the
/// database itself can be read.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let file = File::create(PathBuf::from(name))?;
    let deadline = Instant::now() + OPEN_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(OPEN_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    "the file is open already",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Opens the file, or a database in memory, and makes the tables where they are missing.
pub(super) fn open(path: Option<&Path>) -> Result<Connection, QueueError> {
    let mut db = match path {
        Some(path) => Connection::open(path)?,
        None => Connection::open_in_memory()?,
    };
    db.busy_timeout(OPEN_WAIT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit in the write-ahead log survives a power cut.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", "ON")?;
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)?;
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => {
            tx.execute_batch(TABLES)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        1 => {
            tx.execute_batch(FROM_1)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        VERSION => {}
        newer => return Err(QueueError::unavailable(Newer(newer))),
    }
    tx.commit()?;
    Ok(db)
}

/// The names of the queues in a file that is there. Nothing is made in it, nor brought up to date.
pub(super) fn names(path: &Path) -> Result<Vec<String>, QueueError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(OPEN_WAIT)?;
    let tables: i64 = db.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'queues'",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let mut statement = db.prepare("SELECT name FROM queues ORDER BY name")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let names = rows.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(names)
}
