-- What people say of themselves, and whom they let see and reach them.

-- Missing rows and members mean the default of a new account.
CREATE TABLE IF NOT EXISTS profiles (
    phone TEXT PRIMARY KEY REFERENCES phones ON DELETE CASCADE,
    about TEXT,
    about_at INTEGER,                   -- Unix seconds
    timer INTEGER,                      -- default disappearing timer of new chats, seconds
    timer_at INTEGER,                   -- Unix seconds
    last_seen INTEGER,                  -- Unix seconds
    business TEXT,                      -- JSON of a business profile
    lid_migrated INTEGER NOT NULL DEFAULT 0 -- whether chats with people go by LID
) WITHOUT ROWID;

-- Whom a person knows: written to, or saved in the address book.
CREATE TABLE IF NOT EXISTS contacts (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    person TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    PRIMARY KEY (phone, person)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS contacts_by_person ON contacts (person);

-- Settings other than the default.
CREATE TABLE IF NOT EXISTS privacy (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    category TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (phone, category)
) WITHOUT ROWID;

-- Those whom "my contacts except" excepts.
CREATE TABLE IF NOT EXISTS privacy_exceptions (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    category TEXT NOT NULL,
    person TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    PRIMARY KEY (phone, category, person)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS blocks (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    person TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    blocked_at INTEGER NOT NULL,        -- Unix seconds
    PRIMARY KEY (phone, person)
) WITHOUT ROWID;

-- The devices whose person is there at the moment. Those of companions end with their connection.
CREATE TABLE IF NOT EXISTS available (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    device INTEGER NOT NULL,
    connection INTEGER NOT NULL,
    since INTEGER NOT NULL,             -- Unix seconds
    PRIMARY KEY (phone, device)
) WITHOUT ROWID;

-- Which connections want to hear when a person comes and goes.
CREATE TABLE IF NOT EXISTS presence_watchers (
    person TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    watcher TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    device INTEGER NOT NULL,
    connection INTEGER NOT NULL,
    family TEXT NOT NULL,               -- how the person was named: pn or lid
    PRIMARY KEY (person, watcher, device)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS watchers_by_device ON presence_watchers (watcher, device);

-- The last that a phone saw of who is writing to it.
CREATE TABLE IF NOT EXISTS typing (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    chat TEXT NOT NULL,
    person TEXT NOT NULL,
    state TEXT NOT NULL,
    seen_at INTEGER NOT NULL,           -- Unix milliseconds
    PRIMARY KEY (phone, chat, person)
) WITHOUT ROWID;

-- Tokens by which a person's contacts prove that the person has written to them.
CREATE TABLE IF NOT EXISTS trusted_contacts (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    person TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    token BLOB NOT NULL,
    issued_at INTEGER NOT NULL,         -- Unix seconds, as the client says
    PRIMARY KEY (phone, person)
) WITHOUT ROWID;
