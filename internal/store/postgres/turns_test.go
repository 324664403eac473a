package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres"
)

var _ reset.Turns = (*postgres.Store)(nil)

// serving is a store of a process that serves.
func serving(t *testing.T, address string) *postgres.Store {
	t.Helper()
	s := open(t, address)
	alive, _, err := s.Serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(alive.Close)
	return s
}

// TestTurns: a name's turn is one replica's at a time, those of other names are
// free, and a replica whose session was lost is told that its turn was.
func TestTurns(t *testing.T) {
	t.Parallel()
	address := cluster.Database(t)
	a, b := serving(t, address), serving(t, address)
	take := func(s *postgres.Store, name string) func() error {
		t.Helper()
		release, err := s.Take(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	ada := take(a, "ada")
	bob := take(b, "bob")
	if err := bob(); err != nil {
		t.Error(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := b.Take(brief, "ada"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("two replicas have a turn, or %v", err)
	}
	if err := ada(); err != nil {
		t.Error(err)
	}
	if err := take(b, "ada")(); err != nil {
		t.Error(err)
	}

	ada = take(a, "ada")
	db, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`); err != nil {
		t.Fatal(err)
	}
	if err := ada(); err == nil {
		t.Error("its session ended, and with it the turn, and it was not told")
	}
	until(t, "a turn in a new session", func() bool {
		release, err := b.Take(t.Context(), "ada")
		return err == nil && release() == nil
	})
}
