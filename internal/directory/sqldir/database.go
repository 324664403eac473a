package sqldir

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// query is a statement as a driver takes it.
type query struct {
	text string
	args []any
}

// row is one row of a result, whatever the types as texts.
type row struct {
	names []string // of the columns, in small letters
	texts []sql.NullString
}

// text is what a column has; "" if it is NULL or there is none.
func (r row) text(name string) string {
	if i := slices.Index(r.names, name); i >= 0 {
		return r.texts[i].String
	}
	return ""
}

// database is a pool of connections. Its errors are the driver's own, which errors.go knows.
type database interface {
	// read runs a statement that finds, and calls each for every row until that fails; then it answers that error.
	read(ctx context.Context, q query, each func(row) error) error
	// change runs the statements in one transaction, asks verify with the number of rows that each has changed, and
	// commits if that has nothing against it. Whatever it answers, nothing was changed, but for *unsure.
	change(ctx context.Context, steps []query, verify func(rows []int64) error) error
	// describe connects and says to what, and how: "PostgreSQL 15.18 at db.example.com:5432 over TLS 1.3".
	describe(ctx context.Context) (string, error)
	close() error
}

// unsure says that a COMMIT was sent and not answered: the transaction holds, or it does not.
type unsure struct{ cause error }

func (u *unsure) Error() string {
	return "nobody knows whether the password was changed: " + u.cause.Error()
}

func (u *unsure) Unwrap() error { return u.cause }

// atStep says which of the statements failed.
type atStep struct {
	step  int
	cause error
}

func (a *atStep) Error() string { return a.cause.Error() }
func (a *atStep) Unwrap() error { return a.cause }

// isLocal tells whether a host is this machine: a loopback address, or the path of a socket.
func isLocal(host string) bool {
	if host == "localhost" || strings.HasPrefix(host, "/") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap().IsLoopback()
}

func badURL(fix, format string, args ...any) error {
	return &reset.Misset{Setting: "url", Fix: fix, Cause: fmt.Errorf(format, args...)}
}
