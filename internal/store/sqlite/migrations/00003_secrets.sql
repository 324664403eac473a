-- +goose Up

-- What keys are derived from where the operator has set no secret. It is made once and never changes.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
