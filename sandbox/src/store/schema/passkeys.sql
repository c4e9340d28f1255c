-- Passkeys of accounts that the network wants one of before it links a device.

CREATE TABLE IF NOT EXISTS passkeys (
    phone TEXT PRIMARY KEY REFERENCES phones ON DELETE CASCADE,
    credential_id BLOB NOT NULL,
    private_key BLOB NOT NULL,          -- P-256, PKCS#8
    user_handle BLOB NOT NULL
) WITHOUT ROWID;
