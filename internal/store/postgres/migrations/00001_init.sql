-- +goose Up

-- Times are whole milliseconds. Secrets (ids, keys) are here as SHA-256 digests only.
-- Texts that a program looks up are compared byte by byte, whatever the database's collation.

CREATE TABLE accounts (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text        NOT NULL,
    name_key     text        COLLATE "C" NOT NULL UNIQUE, -- what the name is matched by
    suspended_at timestamptz,
    created_at   timestamptz NOT NULL
);

CREATE TABLE users (
    id                  text        COLLATE "C" PRIMARY KEY, -- UUID
    email               text        NOT NULL,                -- where mail goes, as the operator wrote it
    email_key           text        COLLATE "C" NOT NULL UNIQUE, -- what an address is matched by
    name                text        NOT NULL,
    locale              text        NOT NULL,
    password_hash       text,                                -- PHC string; NULL: no password yet
    password_changed_at timestamptz,
    disabled_at         timestamptz,
    created_at          timestamptz NOT NULL
);

CREATE TABLE memberships (
    user_id    text   COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, account_id)
);
CREATE INDEX memberships_account ON memberships (account_id);

-- user_id has no foreign key: users may live in another directory.
CREATE TABLE requests (
    ref        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest     bytea       NOT NULL UNIQUE,
    user_id    text        COLLATE "C" NOT NULL,
    state      text        NOT NULL CHECK (state IN ('open', 'used', 'closed')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX requests_open ON requests (user_id) WHERE state = 'open';
CREATE INDEX requests_expiry ON requests (expires_at);

CREATE TABLE keys (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text        COLLATE "C" NOT NULL UNIQUE,
    digest       bytea       NOT NULL UNIQUE,
    scope        text        NOT NULL CHECK (scope IN ('reset', 'admin')),
    account_id   bigint      REFERENCES accounts (id),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- One row per limit that has been touched: its theoretical arrival time (GCRA), Unix microseconds.
CREATE TABLE limits (
    name text   COLLATE "C" PRIMARY KEY,
    tat  bigint NOT NULL
);
CREATE INDEX limits_tat ON limits (tat);

CREATE TABLE jobs (
    id         text        COLLATE "C" PRIMARY KEY, -- UUID
    key_id     bigint      NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX jobs_age ON jobs (created_at);

-- The entries of a bulk job, by position. The addresses are in the outbox alone, and only until they are mailed.
CREATE TABLE job_entries (
    job_id   text    COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position integer NOT NULL,
    outcome  text    NOT NULL CHECK (outcome IN ('pending', 'sent', 'unknown', 'failed')),
    PRIMARY KEY (job_id, position)
);
