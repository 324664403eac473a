-- +goose Up

-- Times are Unix milliseconds, UTC. Secrets (ids, keys) are here as SHA-256 digests only.

CREATE TABLE accounts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    name_key     TEXT    NOT NULL UNIQUE, -- what the name is matched by
    suspended_at INTEGER,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id                  TEXT    NOT NULL PRIMARY KEY, -- UUID
    email               TEXT    NOT NULL,             -- where mail goes, as the operator wrote it
    email_key           TEXT    NOT NULL UNIQUE,      -- what an address is matched by
    name                TEXT    NOT NULL,
    locale              TEXT    NOT NULL,
    password_hash       TEXT,                         -- PHC string; NULL: no password yet
    password_changed_at INTEGER,
    disabled_at         INTEGER,
    created_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE memberships (
    user_id    TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, account_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_account ON memberships (account_id);

-- user_id has no foreign key: users may live in another directory.
CREATE TABLE requests (
    ref        INTEGER PRIMARY KEY AUTOINCREMENT,
    digest     BLOB    NOT NULL UNIQUE,
    user_id    TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('open', 'used', 'closed')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;
CREATE INDEX requests_open ON requests (user_id) WHERE state = 'open';
CREATE INDEX requests_expiry ON requests (expires_at);

CREATE TABLE keys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL UNIQUE,
    digest       BLOB    NOT NULL UNIQUE,
    scope        TEXT    NOT NULL CHECK (scope IN ('reset', 'admin')),
    account_id   INTEGER REFERENCES accounts (id),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER
) STRICT;

-- One row per limit that has been touched: its theoretical arrival time (GCRA), Unix microseconds.
CREATE TABLE limits (
    name TEXT    NOT NULL PRIMARY KEY,
    tat  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX limits_tat ON limits (tat);

CREATE TABLE jobs (
    id         TEXT    NOT NULL PRIMARY KEY, -- UUID
    key_id     INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The entries of a bulk job, by position. The addresses are in the outbox alone, and only until they are mailed.
CREATE TABLE job_entries (
    job_id   TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    outcome  TEXT    NOT NULL CHECK (outcome IN ('pending', 'sent', 'unknown', 'failed')),
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;
