//! The tables, and how the file is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Error, Result};

/// Raised when an existing table is changed. A file of another version is refused.
const VERSION: i64 = 2;

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
    connection.set_prepared_statement_cache_capacity(128);
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
