package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// copyFrom is from how many rows on COPY is worth a round trip of its own.
const copyFrom = 64

// pipeline is a transaction that goes over the wire in as few turns as its
// statements' answers allow. BEGIN travels with the first statement, what
// nobody waits for (later) with the next one that somebody does, and COMMIT with
// the last. Where a transaction is a few small writes, the turns are what it
// costs: each wakes two processes on either side.
//
// A statement that was put off and fails makes the next turn fail with its
// error, and the commit at the latest; nothing of the transaction remains then.
//
// It implements as much of pgx.Tx as the outbox's driver needs to put entries in.
type pipeline struct {
	pgx.Tx // nil: what is not implemented here is not called

	conn    *pgxpool.Conn
	pending pgx.Batch
	begun   bool
}

// later puts a statement off to the next turn.
func (p *pipeline) later(query string, args ...any) {
	if !p.begun {
		p.begun = true
		p.pending.Queue("BEGIN")
	}
	p.pending.Queue(query, args...)
}

// send sends what is pending with one more statement, and answers the results
// from that statement's on. They must be closed.
func (p *pipeline) send(ctx context.Context, query string, args ...any) (pgx.BatchResults, error) {
	p.later(query, args...)
	batch := p.pending
	p.pending = pgx.Batch{}
	results := p.conn.SendBatch(ctx, &batch)
	for range batch.Len() - 1 {
		if _, err := results.Exec(); err != nil {
			return nil, errors.Join(err, ignoreRepeated(err, results.Close()))
		}
	}
	return results, nil
}

// ignoreRepeated drops a second report of the same failure.
func ignoreRepeated(first, second error) error {
	if second != nil && second.Error() == first.Error() {
		return nil
	}
	return second
}

// Exec runs a statement in this turn.
func (p *pipeline) Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error) {
	results, err := p.send(ctx, query, args...)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := results.Exec()
	if closed := results.Close(); err == nil {
		err = closed
	}
	return tag, err
}

// QueryRow runs a query in this turn; its row must be scanned.
func (p *pipeline) QueryRow(ctx context.Context, query string, args ...any) pgx.Row {
	results, err := p.send(ctx, query, args...)
	return pipelineRow{results, err}
}

type pipelineRow struct {
	results pgx.BatchResults
	err     error
}

// Scan implements pgx.Row.
func (r pipelineRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	err := r.results.QueryRow().Scan(dest...)
	if closed := r.results.Close(); err == nil {
		err = closed
	}
	return err
}

// Conn is the connection the transaction is on, by which the driver sees how it is set.
func (p *pipeline) Conn() *pgx.Conn { return p.conn.Conn() }

// Query sends what is pending, and the query in a turn of its own.
func (p *pipeline) Query(ctx context.Context, query string, args ...any) (pgx.Rows, error) {
	if err := p.flush(ctx); err != nil {
		return nil, err
	}
	return p.conn.Query(ctx, query, args...)
}

// CopyFrom puts rows into a table: a few with the next turn, many by COPY.
func (p *pipeline) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, source pgx.CopyFromSource) (int64, error) {
	var rows [][]any
	for source.Next() {
		values, err := source.Values()
		if err != nil {
			return 0, err
		}
		rows = append(rows, values)
	}
	if err := source.Err(); err != nil {
		return 0, err
	}
	if len(rows) >= copyFrom {
		if err := p.flush(ctx); err != nil {
			return 0, err
		}
		return p.conn.Conn().CopyFrom(ctx, table, columns, pgx.CopyFromRows(rows))
	}
	insert := insertInto(table, columns)
	for _, values := range rows {
		p.later(insert, values...)
	}
	return int64(len(rows)), nil
}

// insertInto is the statement that puts one row into a table.
func insertInto(table pgx.Identifier, columns []string) string {
	names, places := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i] = pgx.Identifier{c}.Sanitize()
		places[i] = "$" + strconv.Itoa(i+1)
	}
	return "INSERT INTO " + table.Sanitize() + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(places, ", ") + ")"
}

// flush sends what is pending, which may be BEGIN alone.
func (p *pipeline) flush(ctx context.Context) error {
	if p.begun && p.pending.Len() == 0 {
		return nil
	}
	_, err := p.Exec(ctx, "SELECT")
	return err
}

// Commit sends what is pending and ends the transaction. Nothing was begun, nothing is sent.
func (p *pipeline) Commit(ctx context.Context) error {
	if !p.begun {
		return nil
	}
	tag, err := p.Exec(ctx, "COMMIT")
	if err == nil && tag.String() != "COMMIT" {
		return pgx.ErrTxCommitRollback
	}
	return err
}

// Rollback ends the transaction and keeps nothing of it.
func (p *pipeline) Rollback(ctx context.Context) error {
	p.pending = pgx.Batch{}
	if !p.begun || p.conn.Conn().PgConn().TxStatus() == 'I' {
		return nil
	}
	_, err := p.conn.Exec(ctx, "ROLLBACK")
	return err
}
