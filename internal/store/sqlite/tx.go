package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// tx is one caller's part of a transaction. It is a reset.Tx, and what the
// built-in directory writes its users with.
type tx struct {
	sql     *sql.Tx
	entries []reset.Entry
	audit   []reset.AuditEntry
	chain   *reset.Chain
}

// exec runs a statement and says how many rows it changed. A caller who goes
// away must not interrupt it: SQLite would roll back everybody's transaction.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := t.sql.ExecContext(context.WithoutCancel(ctx), query, args...)
	if err != nil {
		return 0, translate(err)
	}
	return res.RowsAffected()
}

// row runs a query that answers one row.
func (t *tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.sql.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}

// one runs a statement that must change a row, or else answers missing.
func (t *tx) one(ctx context.Context, missing error, query string, args ...any) error {
	n, err := t.exec(ctx, query, args...)
	if err == nil && n == 0 {
		return missing
	}
	return err
}

// Enqueue implements reset.Tx. The entries join the outbox when the batch commits.
func (t *tx) Enqueue(_ context.Context, entries ...reset.Entry) error {
	t.entries = append(t.entries, entries...)
	return nil
}

// ms is a time as it is stored; the zero time is NULL.
func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// fromMS is the time that was stored.
func fromMS(v sql.NullInt64) time.Time {
	if !v.Valid {
		return time.Time{}
	}
	return time.UnixMilli(v.Int64).UTC()
}
