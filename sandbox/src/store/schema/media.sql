-- What the media host serves, who may upload, what phones hold, and pictures.

-- Media by the unguessable part of their path. The bytes are in files named by their hash.
CREATE TABLE IF NOT EXISTS media (
    name TEXT PRIMARY KEY,
    hash BLOB NOT NULL,                 -- SHA-256 of the bytes as they are served
    kind TEXT NOT NULL,                 -- image, video, …; picture for what is not encrypted
    length INTEGER NOT NULL,
    uploaded_at INTEGER NOT NULL,
    expires_at INTEGER                  -- null: never
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS media_by_hash ON media (hash);

-- Authorisations to upload, given out by `media_conn`.
CREATE TABLE IF NOT EXISTS media_auth (
    token TEXT PRIMARY KEY,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The media of messages that a phone got or sent: enough to open them, and to upload them again.
CREATE TABLE IF NOT EXISTS phone_media (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    sender TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,                 -- whose keys open it
    path TEXT NOT NULL,                 -- where it was said to be
    mime TEXT NOT NULL,
    media_key BLOB NOT NULL,
    enc_hash BLOB NOT NULL,
    hash BLOB NOT NULL,                 -- SHA-256 of what was sent, as its sender states it
    state TEXT NOT NULL,                -- waiting, held (fetched, opened, both hashes right) or failed
    length INTEGER NOT NULL DEFAULT 0,  -- of the file as it was uploaded, once it is held
    PRIMARY KEY (phone, sender, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS phone_media_by_hash ON phone_media (enc_hash);
CREATE INDEX IF NOT EXISTS phone_media_by_state ON phone_media (state);

-- Pictures of people (by number) and of groups (by JID). A row without an image remembers the last id.
CREATE TABLE IF NOT EXISTS pictures (
    owner TEXT PRIMARY KEY,
    id INTEGER NOT NULL,
    image TEXT,                         -- names in `media`
    preview TEXT
) WITHOUT ROWID;
