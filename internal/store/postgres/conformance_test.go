package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres"
	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
	"github.com/sparekey/sparekey/internal/store/storetest"
)

// cluster is shared by all tests; each has a database of its own in it.
var cluster *pgtest.Cluster

func TestMain(m *testing.M) {
	var err error
	if cluster, err = pgtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func inserter(d postgres.RiverDriver) (postgres.Inserter, error) {
	return outbox.NewInserter[pgx.Tx](d)
}

// open makes a store in a database of its own, closed when the test ends.
func open(t *testing.T, address string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Options{URL: address, Inserter: inserter})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// chain is one that seals what a test records.
func chain() *reset.Chain {
	return reset.NewChain([]byte("a key"), "test", slog.New(slog.DiscardHandler))
}

// tested adds what the suite needs to see.
type tested struct {
	*postgres.Store
	db *pgxpool.Pool
}

func (s tested) Pending(ctx context.Context) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM river_job WHERE state = 'available'`).Scan(&n)
	return n, err
}

// AtRest reads every row of every table.
func (s tested) AtRest(ctx context.Context) ([]byte, error) {
	rows, err := s.db.Query(ctx, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`)
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	for _, table := range tables {
		rows, err := s.db.Query(ctx, `SELECT r::text FROM `+pgx.Identifier{table}.Sanitize()+` AS r`)
		if err != nil {
			return nil, err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		all.WriteString(strings.Join(lines, "\n"))
	}
	return all.Bytes(), nil
}

func (s tested) Exec(ctx context.Context, statement string) error {
	_, err := s.db.Exec(ctx, statement)
	return err
}

func (tested) Disarm() []string { return []string{`ALTER TABLE audit_entries DISABLE TRIGGER USER`} }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		address := cluster.Database(t)
		db, err := pgxpool.New(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return tested{open(t, address), db}
	})
}
