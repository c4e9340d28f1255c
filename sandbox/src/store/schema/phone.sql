-- What phones keep: their Signal state, inboxes and sent messages.

-- The phones' own one-time prekeys, made when a bundle is asked for.
CREATE TABLE IF NOT EXISTS phone_pre_keys (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    id INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (phone, id)
) WITHOUT ROWID;

-- The phones' Signal sessions, by the peer's (number, device).
CREATE TABLE IF NOT EXISTS sessions (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    peer TEXT NOT NULL,
    peer_device INTEGER NOT NULL,
    identity BLOB NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (phone, peer, peer_device)
) WITHOUT ROWID;

-- What a phone's person sees, decrypted by that phone: what is looked for. New rows come at the end of the table.
CREATE TABLE IF NOT EXISTS inbox (
    seq INTEGER PRIMARY KEY,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    sender TEXT NOT NULL,
    id TEXT NOT NULL,
    family TEXT NOT NULL,               -- how the sender was addressed: pn or lid
    chat TEXT NOT NULL,
    kind TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,    -- 1 where the phone itself wrote it
    received_at INTEGER NOT NULL,
    copies INTEGER NOT NULL DEFAULT 1,
    read INTEGER NOT NULL DEFAULT 0,
    played INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS inbox_by_phone ON inbox (phone, seq);

-- Where messages are, by their ids. The latest are not in it yet: their ids go into it many at a time.
CREATE TABLE IF NOT EXISTS inbox_ids (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (phone, id, seq)
) WITHOUT ROWID;

-- And what is shown of it, in the same order.
CREATE TABLE IF NOT EXISTS inbox_bodies (
    seq INTEGER PRIMARY KEY REFERENCES inbox ON DELETE CASCADE,
    sender_lid TEXT NOT NULL,
    body TEXT NOT NULL,                 -- JSON of what was decrypted
    message BLOB NOT NULL,              -- and the message itself
    secret BLOB                         -- what additions to it are encrypted under
);

-- Edits, revokes, reactions and the like whose message has not arrived yet.
CREATE TABLE IF NOT EXISTS changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    chat TEXT NOT NULL,
    target TEXT NOT NULL,
    author TEXT NOT NULL,
    id TEXT NOT NULL,
    family TEXT NOT NULL,
    message BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_by_target ON changes (phone, chat, target);

-- What a phone sent lately, to encrypt again for a device that could not read it.
CREATE TABLE IF NOT EXISTS sent (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    id TEXT NOT NULL,
    chat TEXT NOT NULL,
    family TEXT NOT NULL,               -- the JIDs it went by: pn or lid
    message BLOB NOT NULL,
    UNIQUE (phone, id)
);
CREATE INDEX IF NOT EXISTS sent_by_phone ON sent (phone, seq);

-- How often a phone asked for one message again.
CREATE TABLE IF NOT EXISTS retries (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    sender TEXT NOT NULL,
    sender_device INTEGER NOT NULL,
    id TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (phone, sender, sender_device, id)
) WITHOUT ROWID;
