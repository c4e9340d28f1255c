-- Who exists: accounts, their devices and keys, who watches whom.

CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- Accounts with the secrets of their phone (device 0).
CREATE TABLE IF NOT EXISTS phones (
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
    created_at INTEGER NOT NULL
);

-- Linked devices. Their public keys come from the registration and the prekey uploads.
CREATE TABLE IF NOT EXISTS companions (
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
    device_props BLOB NOT NULL,         -- DeviceProps, as the device registered with them
    platform TEXT NOT NULL DEFAULT '',  -- what the device says it is, as chrome or android_phone
    name TEXT NOT NULL DEFAULT '',      -- and on which system it says that it runs
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (phone, device)
) WITHOUT ROWID;

-- One-time prekeys that companions uploaded, handed out once each.
CREATE TABLE IF NOT EXISTS pre_keys (
    phone TEXT NOT NULL,
    device INTEGER NOT NULL,
    id INTEGER NOT NULL,
    public BLOB NOT NULL,
    PRIMARY KEY (phone, device, id),
    FOREIGN KEY (phone, device) REFERENCES companions ON DELETE CASCADE
) WITHOUT ROWID;

-- Who asked for an account's device list and is told when it changes.
CREATE TABLE IF NOT EXISTS device_watchers (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    watcher TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    PRIMARY KEY (phone, watcher)
) WITHOUT ROWID;
