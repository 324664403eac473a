package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/sparekey/sparekey/internal/reset"
)

// retryAfter is what a caller is told to wait when the database cannot be used just now.
const retryAfter = 5 * time.Second

const (
	uniqueViolation       = "23505"
	insufficientPrivilege = "42501"
)

// passing are the classes of SQLSTATE that may go by: the connection, resources
// (a full disk, too many connections), interventions (a restart, a fail-over), the system, and
// a rolled back transaction; and single codes: a lock that was not to be had, read-only (a standby).
var passing = []string{"08", "53", "57", "58", "40", "55P03", "25006", "25P03"}

// translate turns the driver's errors into the domain's: a repeated name is
// ErrExists, a database that cannot be used just now Unavailable.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		if e.Code == uniqueViolation {
			return reset.ErrExists
		}
		for _, prefix := range passing {
			if strings.HasPrefix(e.Code, prefix) {
				return unavailable(err)
			}
		}
		return err
	}
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.As(err, &connect), errors.As(err, &network), pgconn.SafeToRetry(err), pgconn.Timeout(err),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, puddle.ErrClosedPool):
		return unavailable(err)
	}
	return err
}

func unavailable(cause error) error {
	return reset.Busy("Sparekey cannot reach its database just now; please try again in a moment", retryAfter, cause)
}
