//! The tables, and how the file is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Error, Result};

/// Raised with every change of the tables; a file of another version is refused, not guessed at.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- Accounts with the secrets of their phone (device 0).
CREATE TABLE phones (
    phone TEXT PRIMARY KEY,
    lid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    online INTEGER NOT NULL DEFAULT 1,
    identity BLOB NOT NULL,             -- identity key pair, private half included
    registration_id INTEGER NOT NULL,
    signed_pre_key BLOB NOT NULL,
    next_pre_key INTEGER NOT NULL DEFAULT 1,
    next_device INTEGER NOT NULL DEFAULT 1,
    adv_raw_id INTEGER NOT NULL,        -- generation of the account's device list
    adv_changed INTEGER NOT NULL,       -- Unix seconds of the list's last change
    app_state_key_id BLOB NOT NULL,
    app_state_key BLOB NOT NULL,
    created_at INTEGER NOT NULL
);

-- Linked devices. Their public keys come from the registration and the prekey uploads.
CREATE TABLE companions (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    device INTEGER NOT NULL,
    noise_key BLOB NOT NULL UNIQUE,
    identity BLOB NOT NULL,
    registration_id INTEGER NOT NULL,
    signed_pre_key_id INTEGER NOT NULL,
    signed_pre_key BLOB NOT NULL,
    signed_pre_key_signature BLOB NOT NULL,
    device_identity BLOB NOT NULL,      -- ADVSignedDeviceIdentity, signed by phone and device
    key_index INTEGER NOT NULL,
    key_shared INTEGER NOT NULL DEFAULT 0,
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (phone, device)
) WITHOUT ROWID;

-- One-time prekeys that companions uploaded, handed out once each.
CREATE TABLE pre_keys (
    phone TEXT NOT NULL,
    device INTEGER NOT NULL,
    id INTEGER NOT NULL,
    public BLOB NOT NULL,
    PRIMARY KEY (phone, device, id),
    FOREIGN KEY (phone, device) REFERENCES companions ON DELETE CASCADE
) WITHOUT ROWID;

-- The phones' own one-time prekeys, made when a bundle is asked for.
CREATE TABLE phone_pre_keys (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    id INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (phone, id)
) WITHOUT ROWID;

-- The phones' Signal sessions, by the peer's (number, device).
CREATE TABLE sessions (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    peer TEXT NOT NULL,
    peer_device INTEGER NOT NULL,
    identity BLOB NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (phone, peer, peer_device)
) WITHOUT ROWID;

-- Who asked for an account's device list and is told when it changes.
CREATE TABLE device_watchers (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    watcher TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    PRIMARY KEY (phone, watcher)
) WITHOUT ROWID;

-- Stanzas on their way to a device, kept until it says that it has them.
CREATE TABLE queue (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    device INTEGER NOT NULL,
    kind TEXT NOT NULL,                 -- message, receipt or notification
    stanza_id TEXT NOT NULL,
    subtype TEXT NOT NULL,
    sender TEXT NOT NULL,
    sender_device INTEGER NOT NULL,
    payload BLOB NOT NULL,
    queued_at INTEGER NOT NULL
);
CREATE INDEX queue_by_device ON queue (phone, device, seq);
CREATE INDEX queue_by_stanza ON queue (phone, device, stanza_id);

-- What a phone's person sees, decrypted by that phone.
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    sender TEXT NOT NULL,
    id TEXT NOT NULL,
    family TEXT NOT NULL,               -- how the sender was addressed: pn or lid
    chat TEXT NOT NULL,
    sender_lid TEXT NOT NULL,
    body TEXT NOT NULL,                 -- JSON of what was decrypted
    received_at INTEGER NOT NULL,
    copies INTEGER NOT NULL DEFAULT 1,
    read INTEGER NOT NULL DEFAULT 0,
    UNIQUE (phone, sender, id)
);

-- What a phone sent lately, to encrypt again for a device that could not read it.
CREATE TABLE sent (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    id TEXT NOT NULL,
    chat TEXT NOT NULL,
    message BLOB NOT NULL,
    UNIQUE (phone, id)
);

-- How often a phone asked for one message again.
CREATE TABLE retries (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    sender TEXT NOT NULL,
    sender_device INTEGER NOT NULL,
    id TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (phone, sender, sender_device, id)
) WITHOUT ROWID;
";

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
    match version {
        0 => {
            let tx = connection.transaction()?;
            tx.execute_batch(TABLES)?;
            tx.pragma_update(None, "user_version", VERSION)?;
            tx.commit()?;
        }
        VERSION => {}
        other => {
            let detail = format!("the file is of version {other}, this build reads {VERSION}");
            return Err(Error::codec("the sandbox's state", detail));
        }
    }
    Ok(connection)
}
