-- Until when accounts may begin no chats.
CREATE TABLE IF NOT EXISTS reachout_locks (
    phone TEXT PRIMARY KEY REFERENCES phones ON DELETE CASCADE,
    until INTEGER NOT NULL              -- Unix seconds
) WITHOUT ROWID;
