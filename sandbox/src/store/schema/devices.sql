-- What the network holds against accounts, and what it keeps for their companions.

-- Accounts whose companions may not log in.
CREATE TABLE IF NOT EXISTS refusals (
    phone TEXT PRIMARY KEY REFERENCES phones ON DELETE CASCADE,
    reason INTEGER NOT NULL,            -- of the <failure>
    code INTEGER,                       -- what a ban is for
    until_ms INTEGER                    -- when it is over; null: when it is lifted
) WITHOUT ROWID;

-- Behaviours of single accounts, switched on by the push name at registration.
CREATE TABLE IF NOT EXISTS switches (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (phone, name)
) WITHOUT ROWID;

-- Who has ever written to whom: a restricted account may answer those.
CREATE TABLE IF NOT EXISTS correspondents (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    writer TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    PRIMARY KEY (phone, writer)
) WITHOUT ROWID;

-- What changed while a companion was away, in Unix seconds of the last change and of the last one it knows of.
CREATE TABLE IF NOT EXISTS dirty (
    phone TEXT NOT NULL,
    device INTEGER NOT NULL,
    kind TEXT NOT NULL,
    raised INTEGER NOT NULL,
    cleaned INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (phone, device, kind),
    FOREIGN KEY (phone, device) REFERENCES companions ON DELETE CASCADE
) WITHOUT ROWID;
