-- +goose Up

-- What accounts have set of their brands (internal/reset/brand.go). Texts that are not set are empty.
-- Releases from before pass these tables over.
CREATE TABLE brands (
    account_id  INTEGER PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    name        TEXT    NOT NULL,
    accent      TEXT    NOT NULL,
    background  TEXT    NOT NULL,
    sender      TEXT    NOT NULL,
    reply_to    TEXT    NOT NULL,
    support     TEXT    NOT NULL,
    link_base   TEXT    NOT NULL,
    logo_type   TEXT    NOT NULL,
    logo_width  INTEGER NOT NULL,
    logo_height INTEGER NOT NULL,
    logo_digest BLOB,             -- NULL: no logo
    logo        BLOB
) STRICT;
CREATE INDEX brands_logo ON brands (logo_digest) WHERE logo_digest IS NOT NULL;

-- Their host names, of which each is one account's.
CREATE TABLE brand_hosts (
    host       TEXT    NOT NULL PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES brands (account_id) ON DELETE CASCADE,
    position   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX brand_hosts_account ON brand_hosts (account_id);

-- One row at most: how often anything of this changed. Whoever keeps a copy asks for it alone.
CREATE TABLE brand_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
