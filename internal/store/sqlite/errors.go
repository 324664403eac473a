package sqlite

import (
	"database/sql"
	"errors"
	"time"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sparekey/sparekey/internal/reset"
)

// retryAfter is what a caller is told to wait when the file cannot be used just now.
const retryAfter = 5 * time.Second

// translate turns the driver's errors into the domain's, by code: a file that
// is locked, full, read-only or unreadable is Unavailable, a repeated name ErrExists.
func translate(err error) error {
	var e *driver.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone):
		return unavailable(err)
	case !errors.As(err, &e):
		return err
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return reset.ErrExists
	}
	switch e.Code() & 0xff { // the primary result code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL:
		return unavailable(err)
	}
	return err
}

func unavailable(cause error) error {
	return reset.Busy("Sparekey cannot reach its database just now; please try again in a moment", retryAfter, cause)
}
