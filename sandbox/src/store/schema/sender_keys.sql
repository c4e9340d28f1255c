-- The phones' side of Signal in groups.

-- Sender keys, the phone's own (device 0) among them, by the author's (number, device).
CREATE TABLE IF NOT EXISTS sender_keys (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    chat TEXT NOT NULL,
    author TEXT NOT NULL,
    author_device INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (phone, chat, author, author_device)
) WITHOUT ROWID;

-- The devices that were given the phone's own sender key.
CREATE TABLE IF NOT EXISTS sender_key_holders (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    chat TEXT NOT NULL,
    holder TEXT NOT NULL,
    holder_device INTEGER NOT NULL,
    PRIMARY KEY (phone, chat, holder, holder_device)
) WITHOUT ROWID;
