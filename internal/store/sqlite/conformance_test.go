package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	db   *sql.DB
	path string
}

// AtRest reads every table, and every byte of the files.
func (s tested) AtRest(ctx context.Context) ([]byte, error) {
	var all bytes.Buffer
	names, err := texts(ctx, s.db, `SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil {
		return nil, err
	}
	for _, table := range names {
		columns, err := texts(ctx, s.db, `SELECT name FROM pragma_table_info('`+table+`')`)
		if err != nil {
			return nil, err
		}
		rows, err := texts(ctx, s.db, `SELECT concat_ws(' ', `+strings.Join(columns, ", ")+`) FROM "`+table+`"`)
		if err != nil {
			return nil, err
		}
		all.WriteString(strings.Join(rows, "\n"))
	}
	for _, companion := range []string{"", "-wal", "-shm", "-journal"} {
		content, err := os.ReadFile(s.path + companion)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		all.Write(content)
	}
	return all.Bytes(), nil
}

func texts(ctx context.Context, db *sql.DB, query string) (list []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
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
		return tested{open(t, path), peek(t, path), path}
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
