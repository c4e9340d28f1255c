-- Phones that answer by themselves.

-- The rule of a phone.
CREATE TABLE IF NOT EXISTS auto_reply (
    phone TEXT PRIMARY KEY REFERENCES phones ON DELETE CASCADE,
    text TEXT,                          -- NULL where messages are echoed
    delay_ms INTEGER NOT NULL,
    read INTEGER NOT NULL,
    typing INTEGER NOT NULL
) WITHOUT ROWID;

-- Answers to give, and those given: nobody answers them by a rule.
CREATE TABLE IF NOT EXISTS auto_answers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    id TEXT NOT NULL,
    chat TEXT NOT NULL,
    family TEXT NOT NULL,
    message BLOB NOT NULL,
    typing INTEGER NOT NULL,            -- 1 while the person is yet to be seen typing
    due_at INTEGER NOT NULL,            -- milliseconds since the Unix epoch
    given INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS auto_answers_by_phone ON auto_answers (phone, seq);
CREATE INDEX IF NOT EXISTS auto_answers_by_id ON auto_answers (phone, id);
CREATE INDEX IF NOT EXISTS auto_answers_due ON auto_answers (due_at) WHERE NOT given;
