//! The tables, and how the file is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Error, Result};

/// Raised when an existing table is changed. A file of another version is refused.
const VERSION: i64 = 4;

/// The pages that `SQLite` keeps in memory, in KiB. A commit that split pages looks at all of them, so more of them make
/// commits slower. The file system caches the rest.
const CACHE_KIB: i64 = 16 * 1024;

/// How many pages the log may have before they are written back into the file. Pages that change often are written once
/// for all their changes.
const LOG_PAGES: i64 = 8_000;

/// The statements that stay prepared: all that there are.
const STATEMENTS: usize = 512;

/// One file a concern. Tables are made where they are missing, so a new file needs no new [`VERSION`].
const TABLES: &[&str] = &[
    include_str!("schema/accounts.sql"),
    include_str!("schema/devices.sql"),
    include_str!("schema/queue.sql"),
    include_str!("schema/phone.sql"),
    include_str!("schema/auto_reply.sql"),
    include_str!("schema/app_state.sql"),
    include_str!("schema/history.sql"),
    include_str!("schema/people.sql"),
    include_str!("schema/reachout.sql"),
    include_str!("schema/media.sql"),
    include_str!("schema/groups.sql"),
    include_str!("schema/sender_keys.sql"),
    include_str!("schema/ticks.sql"),
    include_str!("schema/passkeys.sql"),
];

/// Opens the file in `directory` (made if need be), or a store in memory.
pub(super) fn open(directory: Option<&Path>) -> Result<Connection> {
    let mut connection = match directory {
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| Error::codec("the data directory", error))?;
            Connection::open(directory.join("sandbox.sqlite3"))?
        }
        None => Connection::open_in_memory()?,
    };
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != 0 && version != VERSION {
        let detail =
            format!("the file is of version {version}, this build reads {VERSION}: delete it to start anew");
        return Err(Error::codec("the sandbox's state", detail));
    }
    let tx = connection.transaction()?;
    for tables in TABLES {
        tx.execute_batch(tables)?;
    }
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_version_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        drop(open(Some(directory.path())).expect("a new file"));
        drop(open(Some(directory.path())).expect("the same version"));
        let file = directory.path().join("sandbox.sqlite3");
        let former = Connection::open(&file).expect("a file");
        former
            .pragma_update(None, "user_version", VERSION - 1)
            .expect("a version");
        drop(former);
        let refused = open(Some(directory.path())).expect_err("another version");
        assert!(
            refused
                .to_string()
                .contains(&format!("of version {}", VERSION - 1)),
            "{refused}"
        );
        let version: i64 = Connection::open(&file)
            .and_then(|file| file.pragma_query_value(None, "user_version", |row| row.get(0)))
            .expect("a version");
        assert_eq!(version, VERSION - 1);
    }
}
