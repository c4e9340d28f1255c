-- The messages that a phone can give its companions afterwards, and who is to get them.

CREATE TABLE IF NOT EXISTS phone_history (
    seq INTEGER PRIMARY KEY,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    chat TEXT NOT NULL,                 -- JID
    id TEXT NOT NULL,
    from_me INTEGER NOT NULL,
    author TEXT,                        -- JID, in chats of several
    sent_at INTEGER NOT NULL,           -- Unix seconds
    message BLOB NOT NULL,
    UNIQUE (phone, chat, id, from_me)
);

CREATE TABLE IF NOT EXISTS history_due (
    phone TEXT NOT NULL,
    device INTEGER NOT NULL,
    PRIMARY KEY (phone, device),
    FOREIGN KEY (phone, device) REFERENCES companions ON DELETE CASCADE
) WITHOUT ROWID;
