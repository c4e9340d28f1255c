//! The two `SQLite` files, copied as they were at one moment.
//!
//! Whoever writes waits while both are held. Then a read of each begins, which sees that moment from then on, and the writers go
//! on. The copies are made by `SQLite` itself, through these reads.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::place::private_store;

/// How long the copy waits for whoever writes, before anybody waits for the copy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same for the second store, while those who write into the first one wait. They wait for five seconds.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);

/// Copies both stores to files that are not there yet.
pub fn copy(from: [&Path; 2], to: [&Path; 2]) -> anyhow::Result<()> {
    let readers = at_one_moment(from)?;
    for (reader, to) in readers.iter().zip(to) {
        copy_one(reader, to).with_context(|| format!("cannot copy to {}", to.display()))?;
    }
    Ok(())
}

/// Two connections whose reads have begun at the same moment.
fn at_one_moment(from: [&Path; 2]) -> anyhow::Result<[Connection; 2]> {
    let [first, second] = from;
    let readers = [open(first, PATIENCE)?, open(second, PATIENCE)?];
    let holders = [open(first, PATIENCE)?, open(second, SHORT_PATIENCE)?];
    for (holder, file) in holders.iter().zip(from) {
        holder
            .execute_batch("BEGIN IMMEDIATE")
            .with_context(|| format!("cannot hold {}; if it is busy, try again", file.display()))?;
    }
    for (reader, file) in readers.iter().zip(from) {
        begin_reading(reader).with_context(|| format!("cannot read {}", file.display()))?;
    }
    for (holder, file) in holders.iter().zip(from) {
        holder
            .execute_batch("ROLLBACK")
            .with_context(|| format!("cannot let {} go", file.display()))?;
    }
    Ok(readers)
}

/// A transaction sees the moment of its first read, not of its beginning.
fn begin_reading(reader: &Connection) -> rusqlite::Result<()> {
    reader.execute_batch("BEGIN")?;
    reader.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
        row.get::<_, i64>(0)
    })?;
    Ok(())
}

fn copy_one(reader: &Connection, to: &Path) -> anyhow::Result<()> {
    private_store(to)?;
    let mut copy = Connection::open(to)?;
    // In one step, and so within the read that has begun.
    let step = Backup::new(reader, &mut copy)?.step(-1)?;
    ensure!(step == StepResult::Done, "the copy did not come to its end");
    copy.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Opens a file that is there.
fn open(file: &Path, patience: Duration) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(file, flags).and_then(|db| {
        db.busy_timeout(patience)?;
        Ok(db)
    });
    opened.with_context(|| format!("cannot open {}", file.display()))
}

/// Looks through a whole file, and fails where it is damaged.
pub fn check(file: &Path) -> anyhow::Result<()> {
    let db = open(file, PATIENCE)?;
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    ensure!(found == "ok", "{found}");
    db.close().map_err(|(_, error)| error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store as both are: with a log, and open elsewhere.
    fn store(file: &Path) -> Connection {
        let db = Connection::open(file).expect("opened");
        db.pragma_update(None, "journal_mode", "WAL").expect("set");
        db.execute_batch("CREATE TABLE kept (number INTEGER); INSERT INTO kept VALUES (1);")
            .expect("written");
        db
    }

    fn kept(db: &Connection) -> i64 {
        db.query_row("SELECT max(number) FROM kept", [], |row| row.get(0))
            .expect("read")
    }

    #[test]
    fn both_stores_are_copied_as_they_were_at_one_moment() {
        let folder = tempfile::tempdir().expect("made");
        let [table, queues, table_copy, queues_copy] =
            ["table", "queues", "table-copy", "queues-copy"].map(|name| folder.path().join(name));
        let stores = [store(&table), store(&queues)];
        let readers = at_one_moment([&table, &queues]).expect("held");
        // Whoever writes goes on, and the copy does not see it.
        for store in &stores {
            store
                .execute_batch("INSERT INTO kept VALUES (2)")
                .expect("written");
        }
        for (reader, to) in readers.iter().zip([&table_copy, &queues_copy]) {
            copy_one(reader, to).expect("copied");
        }
        drop(readers);
        for (store, copy) in stores.iter().zip([&table_copy, &queues_copy]) {
            assert_eq!(kept(store), 2);
            check(copy).expect("whole");
            assert_eq!(kept(&Connection::open(copy).expect("opened")), 1);
        }
    }

    #[test]
    fn a_damaged_file_is_told_from_a_whole_one() {
        let folder = tempfile::tempdir().expect("made");
        let file = folder.path().join("table");
        drop(store(&file));
        check(&file).expect("whole");
        std::fs::write(
            &file,
            "no database at all, and long enough to be looked at as one",
        )
        .expect("written");
        assert!(check(&file).is_err());
        assert!(check(&folder.path().join("missing")).is_err());
    }
}
