-- Who has read what a phone's person wrote.
CREATE TABLE IF NOT EXISTS ticks (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    id TEXT NOT NULL,
    reader TEXT NOT NULL,
    PRIMARY KEY (phone, id, reader)
) WITHOUT ROWID;
