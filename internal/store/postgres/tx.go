package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/reset"
)

// querier is what reads: the pool, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// read runs fn, which reads, within a bounded time.
func read[T any](ctx context.Context, s *Store, fn func(ctx context.Context, db querier) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	v, err := fn(ctx, s.pool)
	return v, translate(err)
}

// tx is a reset.Tx, and what the built-in directory writes its users with.
type tx struct {
	sql     *pipeline
	entries []reset.Entry
	audit   []reset.AuditEntry
	chain   *reset.Chain
}

// exec runs a statement and says how many rows it changed. A caller who goes
// away must not interrupt it: the connection would have to be closed.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := t.sql.Exec(context.WithoutCancel(ctx), query, args...)
	return tag.RowsAffected(), keep(err)
}

// later has a statement run before the commit whose outcome nobody waits for; if it fails, so does the transaction.
func (t *tx) later(query string, args ...any) { t.sql.later(query, args...) }

// row runs a query that answers one row.
func (t *tx) row(ctx context.Context, query string, args ...any) pgx.Row {
	return t.sql.QueryRow(context.WithoutCancel(ctx), query, args...)
}

// one runs a statement that must change a row, or else answers missing.
func (t *tx) one(ctx context.Context, missing error, query string, args ...any) error {
	n, err := t.exec(ctx, query, args...)
	if err == nil && n == 0 {
		return missing
	}
	return err
}

// keep is translate for what happens inside a transaction: a deadlock stays what
// it is, so that Update can run the transaction again.
func keep(err error) error {
	if repeatable(err) {
		return err
	}
	return translate(err)
}

// Enqueue implements reset.Tx. The entries join the outbox before the commit.
func (t *tx) Enqueue(_ context.Context, entries ...reset.Entry) error {
	t.entries = append(t.entries, entries...)
	return nil
}

// stored is a time as it is stored, in whole milliseconds as on every store; the zero time is NULL.
func stored(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Truncate(time.Millisecond)
}

// restored is the time that was stored.
func restored(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, db querier, scan func(pgx.Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, keep(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (T, error) { return scan(row) })
	return list, keep(err)
}
