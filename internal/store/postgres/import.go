package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// importable are the tables that an Import fills, in the order in which they are locked.
var importable = []string{"accounts", "brands", "brand_hosts", "brand_version", "users", "memberships", "requests", "request_users", "keys", "limits", "secrets", "jobs", "job_entries", "audit_families", "audit_streams", "audit_entries", "river_job"}

// prelude is what migrating leaves in a database that nobody has used: that it
// was migrated. It makes room for what comes.
var prelude = []string{"secrets", "audit_entries", "audit_streams", "audit_families"}

// numbered are the tables whose numbers go on behind the highest one that came.
var numbered = map[string]string{"accounts": "id", "requests": "ref", "keys": "id", "audit_streams": "stream", "river_job": "id"}

// Import fills empty tables in one transaction: all of it is there after Commit,
// and nothing without.
type Import struct {
	conn *pgxpool.Conn
	tx   pgx.Tx
}

// Import begins to fill the tables, which nobody can write to meanwhile. It
// answers an error if any has a row, but for those of the prelude. Close must be called.
func (s *Store) Import(ctx context.Context) (i *Import, err error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	i = &Import{conn: conn}
	defer func() {
		if err != nil {
			i.Close()
			i, err = nil, translate(err)
		}
	}()
	if i.tx, err = conn.Begin(ctx); err != nil {
		return i, err
	}
	// COPY of a million rows takes longer than what a request may.
	if _, err := i.tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		return i, err
	}
	if _, err := i.tx.Exec(ctx, `LOCK TABLE `+strings.Join(importable, ", ")+` IN EXCLUSIVE MODE`); err != nil {
		return i, err
	}
	for _, table := range importable {
		if slices.Contains(prelude, table) {
			continue
		}
		var n int64
		if err := i.tx.QueryRow(ctx, `SELECT count(*) FROM `+table).Scan(&n); err != nil {
			return i, err
		}
		if n > 0 {
			return i, fmt.Errorf("the table %s has %d rows already; an empty database is needed", table, n)
		}
	}
	// The trigger lets go of what the heads say is over.
	if _, err := i.tx.Exec(ctx, `UPDATE audit_streams SET first = seq + 1`); err != nil {
		return i, err
	}
	for _, table := range prelude {
		if _, err := i.tx.Exec(ctx, `DELETE FROM `+table); err != nil {
			return i, err
		}
	}
	return i, nil
}

// Fill copies rows into a table and answers how many it has then.
func (i *Import) Fill(ctx context.Context, table string, columns []string, rows iter.Seq2[[]any, error]) (n int64, err error) {
	next, stop := iter.Pull2(rows)
	defer stop()
	into := table
	if table == "river_job" {
		// COPY knows no enum and no JSON from text, so the entries come by way of a table of texts.
		into = "moved_entries"
		if _, err := i.tx.Exec(ctx, `CREATE TEMPORARY TABLE moved_entries (id bigint, kind text, args text, state text, attempt smallint,
			max_attempts smallint, priority smallint, queue text, scheduled_at timestamptz, created_at timestamptz) ON COMMIT DROP`); err != nil {
			return 0, translate(err)
		}
	}
	if _, err := i.tx.CopyFrom(ctx, pgx.Identifier{into}, columns, &pulled{next: next}); err != nil {
		return 0, fmt.Errorf("fill %s: %w", table, translate(err))
	}
	if into != table {
		if _, err := i.tx.Exec(ctx, `INSERT INTO river_job (id, kind, args, state, attempt, max_attempts, priority, queue, scheduled_at, created_at, tags)
			SELECT id, kind, args::jsonb, state::river_job_state, attempt, max_attempts, priority, queue, scheduled_at, created_at, '{}' FROM moved_entries`); err != nil {
			return 0, fmt.Errorf("fill %s: %w", table, translate(err))
		}
	}
	if column, ok := numbered[table]; ok {
		if _, err := i.tx.Exec(ctx, fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%[1]s', '%[2]s'), max(%[2]s)) FROM %[1]s HAVING max(%[2]s) IS NOT NULL`, table, column)); err != nil {
			return 0, translate(err)
		}
	}
	err = i.tx.QueryRow(ctx, `SELECT count(*) FROM `+table).Scan(&n)
	return n, translate(err)
}

// Commit makes everything durable.
func (i *Import) Commit(ctx context.Context) error { return translate(i.tx.Commit(ctx)) }

// Close ends the import; what was not committed is gone.
func (i *Import) Close() {
	if i.tx != nil {
		ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
		defer cancel()
		if err := i.tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			_ = i.conn.Conn().Close(ctx) // which ends the transaction as well
		}
	}
	i.conn.Release()
}

// pulled hands rows to COPY.
type pulled struct {
	next func() ([]any, error, bool)
	row  []any
	err  error
}

func (p *pulled) Next() bool {
	var more bool
	p.row, p.err, more = p.next()
	return more && p.err == nil
}
func (p *pulled) Values() ([]any, error) { return p.row, nil }
func (p *pulled) Err() error             { return p.err }
