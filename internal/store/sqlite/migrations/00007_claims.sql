-- +goose Up

-- A request is claimed while a password is changed with it where no transaction reaches (docs/adr/0010-two-phases.md).
-- SQLite cannot change a CHECK, so the table is made anew; no ref is ever given twice.
CREATE TABLE requests_new (
    ref        INTEGER PRIMARY KEY AUTOINCREMENT,
    digest     BLOB    NOT NULL UNIQUE,
    user_id    TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('open', 'claimed', 'used', 'closed')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    claimed_at INTEGER,
    ended_at   INTEGER -- of a claimed one: it was taken back meanwhile
) STRICT;
INSERT INTO requests_new (ref, digest, user_id, state, created_at, expires_at, ended_at)
    SELECT ref, digest, user_id, state, created_at, expires_at, ended_at FROM requests;
DELETE FROM sqlite_sequence WHERE name = 'requests_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'requests_new', seq FROM sqlite_sequence WHERE name = 'requests';
DROP TABLE requests;
ALTER TABLE requests_new RENAME TO requests;
CREATE INDEX requests_live ON requests (user_id) WHERE ended_at IS NULL;
CREATE INDEX requests_expiry ON requests (expires_at);

-- Whose a request is, where its user is in several directories: a row for each (internal/reset/joined.go).
CREATE TABLE request_users (
    ref     INTEGER NOT NULL REFERENCES requests (ref) ON DELETE CASCADE,
    user_id TEXT    NOT NULL,
    PRIMARY KEY (ref, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_users_user ON request_users (user_id);
