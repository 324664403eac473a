-- +goose Up

-- What accounts have set of their brands (internal/reset/brand.go). Texts that are not set are empty.
-- Releases from before pass these tables over.
CREATE TABLE brands (
    account_id  bigint  PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    name        text    NOT NULL,
    accent      text    NOT NULL,
    background  text    NOT NULL,
    sender      text    NOT NULL,
    reply_to    text    NOT NULL,
    support     text    NOT NULL,
    link_base   text    NOT NULL,
    logo_type   text    NOT NULL,
    logo_width  integer NOT NULL,
    logo_height integer NOT NULL,
    logo_digest bytea,            -- NULL: no logo
    logo        bytea
);
CREATE INDEX brands_logo ON brands (logo_digest) WHERE logo_digest IS NOT NULL;

-- Their host names, of which each is one account's.
CREATE TABLE brand_hosts (
    host       text    COLLATE "C" PRIMARY KEY,
    account_id bigint  NOT NULL REFERENCES brands (account_id) ON DELETE CASCADE,
    position   integer NOT NULL
);
CREATE INDEX brand_hosts_account ON brand_hosts (account_id);

-- One row at most: how often anything of this changed. Whoever keeps a copy asks for it alone.
CREATE TABLE brand_version (
    id      integer PRIMARY KEY CHECK (id = 1),
    version bigint  NOT NULL
);
