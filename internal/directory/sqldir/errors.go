package sqldir

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sparekey/sparekey/internal/reset"
)

// retryAfter is what a caller is told to wait when the directory cannot be used just now.
const retryAfter = 5 * time.Second

// Errors of MySQL and MariaDB by number.
const (
	mysqlDeadlock      = 1213
	mysqlGroupRollback = 3101
	mysqlShutdown      = 1053
	mysqlKilled        = 1927
)

// kind is what a database's error means to an operator.
type kind int

const (
	other       kind = iota
	unreachable      // the server, or the file, is not there
	untrusted        // its certificate is not to be trusted, or it speaks no TLS
	rejected         // user, password or database
	missing          // a table or column
	forbidden        // a right
	readOnly         // a standby, or a file that cannot be written to
	tooLong          // the hash for its column
	unfit            // a value for its column, or a rule of the database
	noSuchValue      // what was looked for cannot be in such a column
	busy             // locks, time, room
	malformed        // the statement
)

// postgresKinds go by SQLSTATE, its first letters; the longest that fits counts.
var postgresKinds = map[string]kind{
	"08": unreachable, "57P": unreachable, "28": rejected, "3D": rejected, "42P01": missing, "42703": missing, "3F": missing,
	"42501": forbidden, "25006": readOnly, "22001": tooLong, "22P02": noSuchValue, "22003": noSuchValue, "22021": noSuchValue, "22P05": noSuchValue,
	"22": unfit, "23": unfit, "428C9": unfit, "42804": unfit, "P0": unfit, "53": busy, "40": busy, "55P03": busy, "57014": busy, "42": malformed,
}

var mysqlKinds = map[uint16]kind{
	1040: busy, 1205: busy, mysqlDeadlock: busy, 1203: busy, 3024: busy, 1969: busy, 1021: busy, 1114: busy,
	mysqlShutdown: unreachable, mysqlKilled: unreachable, 1044: rejected, 1045: rejected, 1049: rejected, 1698: rejected, 1251: rejected,
	1054: missing, 1146: missing, 1142: forbidden, 1143: forbidden, 1370: forbidden, 1290: readOnly, 1792: readOnly, 1836: readOnly,
	1406: tooLong, 1265: unfit, 1366: unfit, 1292: unfit, 1048: unfit, 1062: unfit, 1264: unfit, 1451: unfit, 1452: unfit, 1644: unfit, 4025: unfit, 3819: unfit,
	1064: malformed,
}

var sqliteKinds = map[int]kind{
	sqlite3.SQLITE_CANTOPEN: unreachable, sqlite3.SQLITE_NOTADB: unreachable, sqlite3.SQLITE_CORRUPT: unreachable, sqlite3.SQLITE_IOERR: unreachable,
	sqlite3.SQLITE_READONLY: readOnly, sqlite3.SQLITE_PERM: readOnly, sqlite3.SQLITE_AUTH: forbidden, sqlite3.SQLITE_BUSY: busy, sqlite3.SQLITE_LOCKED: busy,
	sqlite3.SQLITE_FULL: busy, sqlite3.SQLITE_INTERRUPT: busy, sqlite3.SQLITE_CONSTRAINT: unfit, sqlite3.SQLITE_MISMATCH: unfit, sqlite3.SQLITE_TOOBIG: tooLong,
}

// kindOf finds out what a driver's error means.
func kindOf(err error) kind {
	if err == nil {
		return other
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		for n := len(e.Code); n > 1; n-- {
			if k, ok := postgresKinds[e.Code[:n]]; ok {
				return k
			}
		}
		return other
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return mysqlKinds[e.Number]
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		if strings.Contains(e.Error(), "no such ") {
			return missing
		}
		return sqliteKinds[e.Code()&0xff]
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "tls: ") || strings.Contains(text, "x509: ") || errors.Is(err, mysql.ErrNoTLS) || strings.Contains(text, "refused TLS connection"):
		return untrusted
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, driver.ErrBadConn), isNetwork(err), pgconn.Timeout(err), pgconn.SafeToRetry(err):
		return unreachable
	}
	return other
}

func isNetwork(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	return connecting || network || errors.Is(err, net.ErrClosed)
}

// repeatable reports whether what failed for no fault of its own is worth another try at once, on another
// connection: this one was dead, or the server took another transaction.
func repeatable(err error) bool {
	if _, ok := errors.AsType[*unsure](err); ok {
		return false // it may have happened already
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return false
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Cached plans go bad when a table changes: "cached plan must not change result type".
		return slices.Contains([]string{"40P01", "40001", "57P01", "57P02", "0A000", "26000"}, e.Code)
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return slices.Contains([]uint16{mysqlDeadlock, mysqlGroupRollback, mysqlShutdown, mysqlKilled}, e.Number)
	}
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, mysql.ErrInvalidConn, driver.ErrBadConn} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return pgconn.SafeToRetry(err)
}

// advice is what to do about each kind, with the setting if it is none of those that a statement is made of.
var advice = map[kind]struct{ setting, fix string }{
	other:       {"", "see what the database says"},
	unreachable: {"url", "see that the database runs and can be reached from here, and that timeout is enough"},
	untrusted:   {"ca_file", "name the file of the authority that signed the database's certificate, and call the server by the name in it"},
	rejected:    {"url", "see that user, password and database are right"},
	missing:     {"", "write the name as the database has it"},
	forbidden:   {"", "grant Sparekey's database user the right"},
	readOnly:    {"url", "name the database that can be written to, not a standby, with a user (or a file) that may"},
	tooLong:     {"columns.password", "make the column longer, or choose a format with shorter hashes (hash)"},
	unfit:       {"", "see what the database demands of the row; write statements.set if it needs more than hash and time, or another form of them"},
	noSuchValue: {"", "see what types the columns have; write the statement out if values have to be converted"},
	busy:        {"url", "see what keeps the database busy, and whether timeout is enough for it"},
	malformed:   {"", "mend the statement"},
}

// failed makes a driver's error one that callers may see, with what an operator needs as its cause. The
// setting is where the statement comes from: "table", or its own one.
func (d *Directory) failed(err error, setting string, secrets ...string) error {
	if _, ok := errors.AsType[*reset.Error](err); ok || errors.Is(err, reset.ErrAmbiguous) {
		return err
	}
	m, ok := errors.AsType[*reset.Misset](err)
	if !ok {
		k := kindOf(err)
		m = &reset.Misset{Setting: advice[k].setting, Fix: advice[k].fix, Cause: without(err, secrets)}
		if m.Setting == "" {
			m.Setting = d.blame(k, err.Error(), setting)
		}
		if k == forbidden && setting != "" && !strings.HasPrefix(setting, "statements.") {
			m.Fix = d.grant()
		}
	}
	return reset.Busy(unusable, retryAfter, m)
}

// unusable is what callers are told.
const unusable = "the directory cannot be used just now; please try again in a moment"

// failedToSet is failed for what a reset runs. It leaves the values out of the error.
func (d *Directory) failedToSet(err error, args map[string]any) error {
	setting := d.settingOf("set", d.config.Statements.Set)
	if at, ok := errors.AsType[*atStep](err); ok && at.step > 0 {
		setting = "statements.end_sessions"
	}
	var secrets []string
	for _, name := range []string{"hash", "id", "email"} {
		if s, ok := args[name].(string); ok {
			secrets = append(secrets, s)
		}
	}
	now, _ := args["now"].(string)
	if k := kindOf(err); (k == noSuchValue || k == unfit) && setting == "table" && strings.Contains(err.Error(), now) {
		err = numbers(without(err, secrets))
	}
	return d.failed(err, setting, secrets...)
}

// numbers says that the column for the time of the change does not hold times.
func numbers(cause error) error {
	return &reset.Misset{
		Setting: "columns.changed_at", Fix: "name a column that holds times; for numbers write statements.set, with :now_unix or :now_unix_ms", Cause: cause,
	}
}

// named finds names in the messages of all three databases: column "x" does not exist, Unknown column 'x' in, no such column: x.
var named = regexp.MustCompile("(?i)(?:column|table|relation)(?: named|:)? [\"'`]?([^\"'`]+?)[\"'`]?(?: does not exist| doesn't exist| in | for |$|[\"'`]| \\()")

// blame names the setting that has what the message is about, or the one that the statement is of.
func (d *Directory) blame(k kind, message, setting string) string {
	if k != missing && k != forbidden && k != unfit || strings.HasPrefix(setting, "statements.") {
		return setting
	}
	names := d.config.names()
	for _, found := range named.FindAllStringSubmatch(message, -1) {
		name := found[1]
		if i := strings.LastIndexByte(name, '.'); i >= 0 { // the table, or the database
			name = name[i+1:]
		}
		for _, at := range []string{"columns.password", "columns.changed_at", "columns.id", "columns.email", "columns.name", "columns.locale", "columns.account", "columns.disabled", "columns.active"} {
			if names[at] != "" && strings.EqualFold(names[at], name) {
				return at
			}
		}
	}
	return setting
}

// grant says what rights the statements that were made need.
func (d *Directory) grant() string {
	c, quote := d.config.Columns, d.dialect.quote
	var read []string
	for _, name := range []string{c.ID, c.Email, c.Name, c.Locale, c.Account, c.Disabled, c.Active} {
		if name != "" {
			read = append(read, quote(name))
		}
	}
	write := quote(c.Password)
	if c.ChangedAt != "" {
		write += ", " + quote(c.ChangedAt)
	}
	return "GRANT SELECT (" + strings.Join(read, ", ") + "), UPDATE (" + write + ") ON " + generator{d.dialect, d.config.Table, c}.from() + " to Sparekey's database user"
}

// without leaves out of an error's text what it may repeat of the values, and what MySQL quotes of the statement.
// The error itself stays in no chain: its other fields have the same.
func without(err error, secrets []string) error {
	text := err.Error()
	if open, ok := errors.AsType[*unsure](err); ok {
		text = open.Error()
	}
	if _, ok := errors.AsType[*mysql.MySQLError](err); ok {
		text, _, _ = strings.Cut(text, " near ")
	}
	for _, secret := range secrets {
		if len(secret) > 2 {
			text = strings.ReplaceAll(text, secret, "[hidden]")
		}
	}
	return errors.New(text)
}
