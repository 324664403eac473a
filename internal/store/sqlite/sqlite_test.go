package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/sqlite"
)

func TestFileIsPrivate(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	if err := enqueue(t, s, 1); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o600, "-wal": 0o600, "-shm": 0o600} {
		info, err := os.Stat(path + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s%s has mode %o, want %o", filepath.Base(path), name, got, want)
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v; want mode 700", info.Mode(), err)
	}
}

func TestDurabilitySettings(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	var mode string
	if err := peek(t, path).QueryRowContext(t.Context(), `PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal_mode is %q, %v; want wal", mode, err)
	}
	// synchronous belongs to a connection, so it is asked of the one that writes.
	level, err := sqlite.Synchronous(t.Context(), s)
	if err != nil || level != 2 {
		t.Errorf("synchronous is %d, %v; want 2 (FULL)", level, err)
	}
}

func TestMigrateIsRepeatable(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	if pending, err := s.Pending(t.Context()); err != nil || pending {
		t.Errorf("after Migrate something is pending: %v, %v", pending, err)
	}
	applied, err := s.Migrate(t.Context())
	if err != nil || len(applied) != 0 {
		t.Errorf("a second Migrate applied %v, %v", applied, err)
	}
}

func TestNotADatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("these are only notes\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err == nil || !strings.Contains(err.Error(), "is it a SQLite file?") {
		t.Errorf("got %v, want a hint that this is no SQLite file", err)
	}
}

// TestLocked: another process holds the write lock for longer than we wait.
// The answer is "not now", and after the lock is gone everything works again.
func TestLocked(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path, func(o *sqlite.Options) { o.BusyTimeout = 50 * time.Millisecond })
	other := peek(t, path)
	if _, err := other.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, enqueue(t, s, 1))
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := enqueue(t, s, 1); err != nil {
		t.Fatalf("after the lock was gone: %v", err)
	}
}

// TestFull: SQLite itself answers SQLITE_FULL, as it does on a full disk.
func TestFull(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	if err := sqlite.LimitPages(t.Context(), s, 1); err != nil { // no page more than there are
		t.Fatal(err)
	}
	var err error
	for range 1000 {
		if err = enqueue(t, s, 50); err != nil {
			break
		}
	}
	wantUnavailable(t, err)
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("reading while the disk is full: %v", err)
	}
	if err := sqlite.LimitPages(t.Context(), s, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := enqueue(t, s, 50); err != nil {
		t.Fatalf("after space was made: %v", err)
	}
}

// TestFullHarmsNobodyElse: of transactions that are committed together, those
// that were answered without an error are there.
func TestFullHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	if err := sqlite.LimitPages(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	var (
		wg sync.WaitGroup
		mu sync.Mutex
		ok int
	)
	for i := range 64 {
		wg.Go(func() {
			for range 20 {
				n := 1 + 40*(i%2)
				if enqueue(t, s, n) == nil {
					mu.Lock()
					ok += n
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	var there int
	if err := peek(t, path).QueryRowContext(t.Context(), `SELECT count(*) FROM river_job`).Scan(&there); err != nil {
		t.Fatal(err)
	}
	if there != ok || ok == 64*20/2*42 {
		t.Errorf("%d entries are there, %d were promised (and the disk must have been full)", there, ok)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: file(t), Inserter: inserter})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, s.Update(t.Context(), func(reset.Tx) error { return nil }))
}

// TestCloseFinishes: what was sent before Close is committed or refused, never left hanging.
func TestCloseFinishes(t *testing.T) {
	t.Parallel()
	path := file(t)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Inserter: inserter})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var (
		wg sync.WaitGroup
		mu sync.Mutex
		ok int
	)
	begun := make(chan struct{}, 20)
	for range 20 {
		wg.Go(func() {
			begun <- struct{}{}
			for range 50 {
				if enqueue(t, s, 1) == nil {
					mu.Lock()
					ok++
					mu.Unlock()
				}
			}
		})
	}
	for range 20 {
		<-begun
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	var there int
	if err := peek(t, path).QueryRowContext(t.Context(), `SELECT count(*) FROM river_job`).Scan(&there); err != nil {
		t.Fatal(err)
	}
	if there != ok {
		t.Errorf("%d entries are there, %d were promised", there, ok)
	}
}

func TestOneProcessServes(t *testing.T) {
	t.Parallel()
	path := file(t)
	first, second := open(t, path), open(t, path)
	if err := first.LockForServing(); err != nil {
		t.Fatal(err)
	}
	if err := second.LockForServing(); !errors.Is(err, sqlite.ErrServed) {
		t.Errorf("a second process: %v, want ErrServed", err)
	}
	if err := enqueue(t, second, 1); err != nil {
		t.Errorf("the command line beside a serving process: %v", err)
	}
}

func TestReclaimOutbox(t *testing.T) {
	t.Parallel()
	path := file(t)
	s := open(t, path)
	if err := enqueue(t, s, 3); err != nil {
		t.Fatal(err)
	}
	other := peek(t, path)
	if _, err := other.ExecContext(t.Context(), `UPDATE river_job SET state = 'running' WHERE id <= 2`); err != nil {
		t.Fatal(err)
	}
	if n, err := s.ReclaimOutbox(t.Context()); err != nil || n != 2 {
		t.Errorf("ReclaimOutbox: %d, %v; want 2", n, err)
	}
}

// TestStatementCache: the same text again and again, while an earlier answer to it is still being read.
func TestStatementCache(t *testing.T) {
	t.Parallel()
	s := open(t, file(t))
	if err := sqlite.NestedReads(t.Context(), s, 50); err != nil {
		t.Error(err)
	}
}

func TestPathsWithOddNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b.db", "a?b.db", "a#b.db", "a%20b.db", "ä.db"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			if err := enqueue(t, open(t, path), 1); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Errorf("the database is not at %q: %v", name, err)
			}
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	s, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "b.db"), Inserter: inserter})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	if _, err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, workers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.SetParallelism(workers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					err := s.Update(b.Context(), func(tx reset.Tx) error {
						return tx.Enqueue(b.Context(), reset.LinkEntry{Address: "ada@example.test"})
					})
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
