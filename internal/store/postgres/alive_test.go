package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sparekey/sparekey/internal/reset"
)

// TestEntriesOfTheDead: what a process has leased stays its own while it lives,
// though its session breaks, and is another's within seconds of its death.
func TestEntriesOfTheDead(t *testing.T) {
	t.Parallel()
	address := cluster.Database(t)
	mortal, other := open(t, address), open(t, address)
	db, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.Exec(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	state := func() (s string) {
		t.Helper()
		if err := db.QueryRow(t.Context(), `SELECT state FROM river_job`).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if err := mortal.Update(t.Context(), func(tx reset.Tx) error {
		return tx.Enqueue(t.Context(), reset.LinkEntry{Address: "ada@example.test"})
	}); err != nil {
		t.Fatal(err)
	}
	living, n, err := mortal.Serve(t.Context())
	if err != nil || n != 0 {
		t.Fatalf("%d, %v", n, err)
	}
	exec(`UPDATE river_job SET state = 'running', attempted_by = ARRAY['somebody earlier', $1]`, mortal.ID())

	another, n, err := other.Serve(t.Context())
	if err != nil || n != 0 {
		t.Fatalf("while its process lived, %d were taken, %v", n, err)
	}
	defer another.Close()
	holds := func() bool {
		var held bool
		err := db.QueryRow(t.Context(), `SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&held)
		return err == nil && held
	}
	exec(`SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	until(t, "both to have sessions again", holds)
	exec(`UPDATE river_job SET state = 'running'`) // somebody may have been quicker than a new session
	if _, n, err := third(t, address); err != nil || n != 0 {
		t.Errorf("after its session broke, %d were taken, %v", n, err)
	}

	living.Close()
	until(t, "the other to take it over", func() bool { return state() == "available" })
}

// third is one more process, which only looks.
func third(t *testing.T, address string) (string, int, error) {
	t.Helper()
	s := open(t, address)
	serving, n, err := s.Serve(t.Context())
	if err == nil {
		serving.Close()
	}
	return s.ID(), n, err
}

// until waits for what a background task does within seconds.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(30 * time.Second); !yes(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		<-ticker.C
	}
}
