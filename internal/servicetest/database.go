package servicetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres"
	"github.com/sparekey/sparekey/internal/store/sqlite"
)

// Store is the store of a World, on either database.
type Store interface {
	reset.Store
	reset.AuditTrail
	builtin.Records
	Seal(c *reset.Chain)
	Migrate(ctx context.Context) (applied []string, err error)
	Close() error
}

// open opens the store and makes its tables.
func (w *World) open(t testing.TB, o options) {
	t.Helper()
	var err error
	if o.postgres == "" {
		w.Store, err = sqlite.Open(t.Context(), sqlite.Options{
			Path: w.Path, BusyTimeout: o.busy, MaxPages: o.pages, Inserter: w.sqliteInserter,
		})
		w.dump = w.dumpFile
	} else {
		w.Store, err = postgres.Open(t.Context(), postgres.Options{URL: o.postgres, Inserter: w.postgresInserter})
		w.dump = func(t testing.TB) string { return dumpPostgres(t, o.postgres) }
	}
	must(t, err)
	t.Cleanup(func() { must(t, w.Store.Close()) })
	_, err = w.Store.Migrate(t.Context())
	must(t, err)
}

func (w *World) sqliteInserter(d sqlite.RiverDriver) (sqlite.Inserter, error) {
	if w.outbox == nil {
		return outbox.NewInserter[*sql.Tx](d)
	}
	return collector[*sql.Tx]{w.outbox}, nil
}

func (w *World) postgresInserter(d postgres.RiverDriver) (postgres.Inserter, error) {
	if w.outbox == nil {
		return outbox.NewInserter[pgx.Tx](d)
	}
	return collector[pgx.Tx]{w.outbox}, nil
}

// memoryOutbox collects entries. It sees them before the commit, like River's table does.
type memoryOutbox struct {
	mu      sync.Mutex
	entries []reset.Entry
}

// take takes out what is due.
func (m *memoryOutbox) take(now time.Time) (due []reset.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var later []reset.Entry
	for _, e := range m.entries {
		if claim, ok := e.(reset.SettleEntry); ok && now.Before(claim.Due) {
			later = append(later, e)
			continue
		}
		due = append(due, e)
	}
	m.entries = later
	return due
}

// collector is what a store hands entries to.
type collector[TTx any] struct{ *memoryOutbox }

func (c collector[TTx]) InsertTx(_ context.Context, _ TTx, entries []reset.Entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = append(c.entries, entries...)
	return nil
}

// tables are all but River's and goose's; of River's it is the entries.
var tables = []string{"users", "accounts", "memberships", "requests", "request_users", "keys", "limits", "jobs", "job_entries", "river_job"}

// Dump returns everything in the database as text, for tests that look for
// secrets or compare before and after: River's and goose's tables are left out,
// but for the entries of a real outbox.
func (w *World) Dump(t testing.TB) string {
	t.Helper()
	return w.dump(t)
}

func (w *World) dumpFile(t testing.TB) string {
	db, err := sql.Open("sqlite", w.Path)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	var b strings.Builder
	for _, table := range tables {
		columns := "*"
		if table == "river_job" {
			columns = "id, kind, state, json(args)"
		}
		must(t, dumpTable(t.Context(), db, table, columns, &b))
	}
	return b.String()
}

func dumpTable(ctx context.Context, db *sql.DB, table, selected string, b *strings.Builder) (err error) {
	rows, err := db.QueryContext(ctx, "SELECT "+selected+" FROM "+table+" ORDER BY 1, 2")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, refs := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		refs[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(refs...); err != nil {
			return err
		}
		fmt.Fprintln(b, table, values)
	}
	return rows.Err()
}

func dumpPostgres(t testing.TB, address string) string {
	conn, err := pgx.Connect(t.Context(), address)
	must(t, err)
	defer func() { must(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	var b strings.Builder
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), "SELECT r::text FROM "+table+" AS r ORDER BY 1")
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		for _, line := range lines {
			fmt.Fprintln(&b, table, line)
		}
	}
	return b.String()
}
