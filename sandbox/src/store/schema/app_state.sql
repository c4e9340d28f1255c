-- Settings that an account's devices share: what the server keeps of them, and what the phone does.

-- The server's side, opaque to it: where each collection stands, its patches, and the records they left.
CREATE TABLE IF NOT EXISTS app_state_collections (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    collection TEXT NOT NULL,
    version INTEGER NOT NULL,
    floor INTEGER NOT NULL,             -- patches after this version are kept
    snapshot_mac BLOB NOT NULL,         -- of the last patch; it is the MAC of a snapshot at that version too
    key_id BLOB NOT NULL,
    PRIMARY KEY (phone, collection)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS app_state_patches (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    collection TEXT NOT NULL,
    version INTEGER NOT NULL,
    patch BLOB NOT NULL,                -- SyncdPatch
    PRIMARY KEY (phone, collection, version)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS app_state_records (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    collection TEXT NOT NULL,
    index_mac BLOB NOT NULL,
    record BLOB NOT NULL,               -- SyncdRecord
    PRIMARY KEY (phone, collection, index_mac)
) WITHOUT ROWID;

-- The phone's keys, oldest first, and which companions have which.
CREATE TABLE IF NOT EXISTS app_state_keys (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (phone, epoch)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS app_state_key_shares (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    device INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (phone, device, epoch)
) WITHOUT ROWID;

-- What the phone holds in the clear.
CREATE TABLE IF NOT EXISTS phone_app_state (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    collection TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 0,
    hash BLOB NOT NULL,                 -- LT-hash of the records
    faults INTEGER NOT NULL DEFAULT 0,  -- patches whose MACs did not hold
    PRIMARY KEY (phone, collection)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS phone_app_state_records (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    collection TEXT NOT NULL,
    index_mac BLOB NOT NULL,
    value_mac BLOB NOT NULL,
    key_id BLOB NOT NULL,
    name TEXT NOT NULL,                 -- the index as its JSON array
    value BLOB NOT NULL,                -- SyncActionValue
    record BLOB NOT NULL,               -- SyncdRecord, as the server has it
    PRIMARY KEY (phone, collection, index_mac)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS phone_app_state_by_name ON phone_app_state_records (phone, collection, name);
