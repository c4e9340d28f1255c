-- Groups: what they are, who is in them, who may or wants to come in.

CREATE TABLE IF NOT EXISTS groups (
    id TEXT PRIMARY KEY,                -- the digits of its JID
    addressing TEXT NOT NULL,           -- how it names its members: lid or pn
    creator TEXT NOT NULL,              -- number
    created_at INTEGER NOT NULL,        -- Unix seconds, as all times here
    subject TEXT NOT NULL,
    subject_owner TEXT NOT NULL,
    subject_at INTEGER NOT NULL,
    description TEXT,
    description_id TEXT,
    description_owner TEXT,
    description_at INTEGER,
    locked INTEGER NOT NULL,            -- only admins edit the info
    announcement INTEGER NOT NULL,      -- only admins write
    approval INTEGER NOT NULL,          -- admins decide who joins
    member_add TEXT NOT NULL,           -- admin_add or all_member_add
    member_link TEXT NOT NULL,          -- admin_link or all_member_link
    ephemeral INTEGER NOT NULL,         -- seconds until messages disappear, 0 if they do not
    ephemeral_trigger INTEGER,
    participants_version INTEGER NOT NULL,
    admins_version INTEGER NOT NULL,
    invite_code TEXT UNIQUE
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS group_members (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id TEXT NOT NULL REFERENCES groups ON DELETE CASCADE,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    role TEXT NOT NULL,                 -- member, admin or superadmin
    joined_at INTEGER NOT NULL,
    UNIQUE (group_id, phone)
);
CREATE INDEX IF NOT EXISTS groups_by_member ON group_members (phone);

-- Who asked to be let in.
CREATE TABLE IF NOT EXISTS group_requests (
    group_id TEXT NOT NULL REFERENCES groups ON DELETE CASCADE,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    requested_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, phone)
) WITHOUT ROWID;

-- Personal invitations for those whom an admin could not add.
CREATE TABLE IF NOT EXISTS group_invitations (
    group_id TEXT NOT NULL REFERENCES groups ON DELETE CASCADE,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    admin TEXT NOT NULL,
    code TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, phone)
) WITHOUT ROWID;

-- Codes of invite links that were reset.
CREATE TABLE IF NOT EXISTS group_former_codes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    code TEXT NOT NULL UNIQUE,
    group_id TEXT NOT NULL REFERENCES groups ON DELETE CASCADE
);

-- The statuses of the last day, so that one that is sent again goes only to those who asked.
CREATE TABLE IF NOT EXISTS statuses (
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    id TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (phone, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS statuses_by_age ON statuses (sent_at);
