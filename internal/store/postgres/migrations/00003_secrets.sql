-- +goose Up

-- What keys are derived from where the operator has set no secret. It is made once and never changes.
CREATE TABLE secrets (
    name  text  COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);
