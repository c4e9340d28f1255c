-- What is on its way to a device.

-- Stanzas on their way to a device, kept until it says that it has them.
CREATE TABLE IF NOT EXISTS queue (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL REFERENCES phones ON DELETE CASCADE,
    device INTEGER NOT NULL,
    kind TEXT NOT NULL,                 -- message, receipt, notification, call or chatstate
    stanza_id TEXT NOT NULL,
    subtype TEXT NOT NULL,
    sender TEXT NOT NULL,
    sender_device INTEGER NOT NULL,
    payload BLOB NOT NULL,
    queued_at INTEGER NOT NULL,
    expires_at INTEGER                  -- Unix milliseconds; such a stanza goes once it is sent
);
CREATE INDEX IF NOT EXISTS queue_by_expiry ON queue (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS queue_by_device ON queue (phone, device, seq);
-- Clients say what they have by its id; phones take their rows in order.
CREATE INDEX IF NOT EXISTS queue_by_stanza ON queue (phone, device, stanza_id) WHERE device > 0;
CREATE INDEX IF NOT EXISTS queue_passing ON queue (phone, device, stanza_id) WHERE expires_at IS NOT NULL;
