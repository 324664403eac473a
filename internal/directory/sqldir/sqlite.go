package sqldir

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const sqliteForm = "write sqlite:PATH, such as sqlite:/srv/app/app.db"

func openSQLite(c *Config) (database, error) {
	path := strings.TrimPrefix(c.URL, "sqlite:")
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		if !strings.HasPrefix(rest, "/") {
			return nil, badURL(sqliteForm, "it has // after sqlite: without a third slash")
		}
		path = rest
	}
	switch {
	case path == "" || strings.HasSuffix(path, "/") || strings.ContainsRune(path, 0):
		return nil, badURL(sqliteForm, "it names no file")
	case path == ":memory:":
		return nil, badURL(sqliteForm, "a database in memory has no users")
	case c.Password != "":
		return nil, badURL("leave out password", "a file has none")
	}
	// The file is never made (mode=rw), and its journal stays what it is.
	options := url.Values{"mode": {"rw"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", c.Timeout.Milliseconds()), "foreign_keys(1)", "trusted_schema(0)",
	}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+options.Encode())
	if err != nil {
		return nil, badURL(sqliteForm, "the driver cannot use it")
	}
	db.SetMaxOpenConns(c.Connections)
	// Each call opens the file anew: one that was replaced meanwhile would be written to where nobody reads any more.
	db.SetMaxIdleConns(-1)
	return &pool{db: db, begin: "BEGIN IMMEDIATE", undone: undoneBySQLite, greet: func(ctx context.Context, db *sql.DB) (string, error) {
		var version, journal string
		err := db.QueryRowContext(ctx, "SELECT sqlite_version(), journal_mode FROM pragma_journal_mode").Scan(&version, &journal)
		return fmt.Sprintf("SQLite %s on the file %s, journal mode %s", version, path, journal), err
	}}, nil
}

// undoneBySQLite knows the errors of COMMIT after which the transaction is still open, or was rolled back.
func undoneBySQLite(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_FULL:
		return true
	}
	return false
}
