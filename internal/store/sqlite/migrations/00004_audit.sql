-- +goose Up

-- The audit trail (internal/reset/chain.go). Every row is sealed with a keyed hash.

CREATE TABLE audit_families (
    family  TEXT    NOT NULL PRIMARY KEY, -- names the key
    streams INTEGER NOT NULL,             -- how many were sealed with it
    mac     BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_streams (
    stream      INTEGER PRIMARY KEY AUTOINCREMENT,
    family      TEXT    NOT NULL,
    seq         INTEGER NOT NULL, -- the last entry
    seal        BLOB    NOT NULL,
    first       INTEGER NOT NULL, -- the first entry that is kept
    before_seal BLOB    NOT NULL, -- of the one before that
    mac         BLOB    NOT NULL
) STRICT;

CREATE TABLE audit_entries (
    stream     INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    what       TEXT    NOT NULL,
    who        TEXT    NOT NULL,
    origin     TEXT    NOT NULL,
    key_name   TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    times      INTEGER NOT NULL,
    node       TEXT    NOT NULL,
    details    TEXT    NOT NULL,
    seal       BLOB    NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_entries_time ON audit_entries (at, stream, seq);

-- Append only. What the head of its stream says is over may be removed.
-- +goose StatementBegin
CREATE TRIGGER audit_entries_stay BEFORE UPDATE ON audit_entries BEGIN
    SELECT raise(ABORT, 'the audit trail is append only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_entries_kept BEFORE DELETE ON audit_entries
WHEN OLD.seq >= coalesce((SELECT first FROM audit_streams WHERE stream = OLD.stream), -1) BEGIN
    SELECT raise(ABORT, 'the audit trail is append only');
END;
-- +goose StatementEnd
