package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/sqlite"
	"github.com/sparekey/sparekey/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func inserter(d sqlite.RiverDriver) (sqlite.Inserter, error) { return outbox.NewInserter(d) }

// open makes a store on a file of its own, closed when the test ends.
func open(t *testing.T, path string, change ...func(*sqlite.Options)) *sqlite.Store {
	t.Helper()
	o := sqlite.Options{Path: path, Inserter: inserter}
	for _, c := range change {
		c(&o)
	}
	s, err := sqlite.Open(t.Context(), o)
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

func file(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "folder", "sparekey.db")
}

// peek opens the file a second time, as another process would.
func peek(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// tested adds what the suite needs to see.
type tested struct {
	*sqlite.Store
	db *sql.DB
}

func (s tested) Pending(ctx context.Context) (n int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM river_job WHERE state = 'available'`).Scan(&n)
	return n, err
}

func (s tested) Exec(ctx context.Context, statement string) error {
	_, err := s.db.ExecContext(ctx, statement)
	return err
}

func (tested) Disarm() []string {
	return []string{`DROP TRIGGER audit_entries_stay`, `DROP TRIGGER audit_entries_kept`}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		path := file(t)
		return tested{open(t, path), peek(t, path)}
	})
}

func enqueue(t *testing.T, s *sqlite.Store, n int) error {
	t.Helper()
	return s.Update(t.Context(), func(tx reset.Tx) error {
		for range n {
			if err := tx.Enqueue(t.Context(), reset.LinkEntry{Address: "ada@example.test"}); err != nil {
				return err
			}
		}
		return nil
	})
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*reset.Error](err)
	if !ok || e.Kind != reset.Unavailable || e.RetryAfter < time.Second {
		t.Fatalf("got %v, want an Unavailable error with RetryAfter", err)
	}
}
