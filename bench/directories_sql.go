package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/crypto/argon2"

	"github.com/sparekey/sparekey/internal/directory/sqldir/mariadbtest"
)

// argon2id with the parameters that the directories have by default, as an application's library would do it.
func argon2id(password string) string {
	const memory, passes, lanes = 19456, 2, 1
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, passes, memory, lanes, 32)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes, encode(salt), encode(key))
}

const sqlSettings = "sql\nurl: %q\ntable: users\nhash: argon2id\n"

// filling are the statements that fill a table of users.
func filling() (statements []string) {
	const at = 1000
	var values []string
	for i := range directoryUsers {
		values = append(values, fmt.Sprintf("(%d,'%s','none')", i, email(i)))
		if len(values) == at || i == directoryUsers-1 {
			statements = append(statements, "INSERT INTO users (id, email, password) VALUES "+strings.Join(values, ","))
			values = nil
		}
	}
	return statements
}

const update = "hash+UPDATE/s by "

func (b *bench) postgresDirectory(ctx context.Context) (_ *elsewhere, err error) {
	c, err := b.cluster()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	address, err := newDatabase(ctx, c, "people")
	if err != nil {
		return nil, err
	}
	statements := append([]string{`CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, password text NOT NULL)`}, filling()...)
	statements = append(statements, `CREATE INDEX ON users (lower(email::text COLLATE "C"))`, `VACUUM ANALYZE users`)
	if err := execute(ctx, address, statements...); err != nil {
		return nil, err
	}
	return &elsewhere{
		name: "PostgreSQL as a directory", settings: fmt.Sprintf(sqlSettings, address), users: directoryUsers,
		against: update + "pgx", close: c.Close,
		raw: func(ctx context.Context) (func(w, i int) error, func() error, error) {
			cfg, err := pgxpool.ParseConfig(address)
			if err != nil {
				return nil, nil, err
			}
			cfg.MaxConns = connections
			pool, err := pgxpool.NewWithConfig(ctx, cfg)
			if err != nil {
				return nil, nil, err
			}
			return func(w, i int) error {
				_, err := pool.Exec(ctx, `UPDATE users SET password = $1 WHERE id = $2`, argon2id("correct horse battery staple"), (w+i*workers)%directoryUsers)
				return err
			}, func() error { pool.Close(); return nil }, nil
		},
	}, nil
}

func (b *bench) mariaDirectory(ctx context.Context) (_ *elsewhere, err error) {
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		return nil, err
	}
	// What a server has outside of tests: each commit on the disk, and room in memory.
	s, err := mariadbtest.StartIn(dir, "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=512M")
	if err != nil {
		return nil, err
	}
	e, err := tableOf(ctx, table{
		driver: "mysql", source: s.DSN(""), url: s.URL("people"),
		statements: []string{
			`CREATE DATABASE people CHARACTER SET utf8mb4`, `USE people`,
			`CREATE TABLE users (id BIGINT PRIMARY KEY, email VARCHAR(255) NOT NULL UNIQUE, password VARCHAR(255) NOT NULL)`,
		},
		use: s.DSN("people"),
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	e.name, e.against, e.close = "MariaDB", update+"go-sql-driver/mysql", s.Close
	return e, nil
}

func (b *bench) sqliteDirectory(ctx context.Context) (*elsewhere, error) {
	path, err := filepath.Abs(filepath.Join(b.dir, "people.db"))
	if err != nil {
		return nil, err
	}
	source := "file:" + path + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate"
	e, err := tableOf(ctx, table{
		driver: "sqlite", source: source, url: "sqlite:" + path, use: source,
		statements: []string{
			`CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL, password TEXT NOT NULL)`,
			`CREATE INDEX users_by_address ON users (lower(email))`,
		},
	})
	if err != nil {
		return nil, err
	}
	e.name, e.against, e.close = "SQLite as a directory", update+"modernc.org/sqlite", func() error { return nil }
	return e, nil
}

// table is a table of users behind database/sql.
type table struct {
	driver, source string
	statements     []string // that make it
	use            string   // where it is then
	url            string   // what the directory's setting is
}

func tableOf(ctx context.Context, t table) (*elsewhere, error) {
	if err := t.make(ctx); err != nil {
		return nil, err
	}
	return &elsewhere{
		settings: fmt.Sprintf(sqlSettings, t.url), users: directoryUsers,
		raw: func(ctx context.Context) (func(w, i int) error, func() error, error) {
			db, err := sql.Open(t.driver, t.use)
			if err != nil {
				return nil, nil, err
			}
			db.SetMaxOpenConns(connections)
			db.SetMaxIdleConns(connections)
			set, err := db.PrepareContext(ctx, `UPDATE users SET password = ? WHERE id = ?`)
			if err != nil {
				return nil, nil, errors.Join(err, db.Close())
			}
			return func(w, i int) error {
				_, err := set.ExecContext(ctx, argon2id("correct horse battery staple"), (w+i*workers)%directoryUsers)
				return err
			}, func() error { return errors.Join(set.Close(), db.Close()) }, nil
		},
	}, nil
}

// make makes it and fills it, by one connection and in one transaction.
func (t table) make(ctx context.Context) (err error) {
	db, err := sql.Open(t.driver, t.source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, s := range t.statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, s := range filling() {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return tx.Commit()
}
