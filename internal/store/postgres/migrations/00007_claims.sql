-- +goose Up

-- A request is claimed while a password is changed with it where no transaction reaches (docs/adr/0010-two-phases.md).
-- Of a claimed one, ended_at says that it was taken back meanwhile.
ALTER TABLE requests ADD COLUMN claimed_at timestamptz;
ALTER TABLE requests DROP CONSTRAINT requests_state_check;
ALTER TABLE requests ADD CONSTRAINT requests_state_check CHECK (state IN ('open', 'claimed', 'used', 'closed'));
DROP INDEX requests_open;
CREATE INDEX requests_live ON requests (user_id) WHERE ended_at IS NULL;

-- Whose a request is, where its user is in several directories: a row for each (internal/reset/joined.go).
CREATE TABLE request_users (
    ref     bigint NOT NULL REFERENCES requests (ref) ON DELETE CASCADE,
    user_id text   COLLATE "C" NOT NULL,
    PRIMARY KEY (ref, user_id)
);
CREATE INDEX request_users_user ON request_users (user_id);
