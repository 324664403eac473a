package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/sqlite"
)

// brokenInserter is an outbox that takes nothing.
type brokenInserter struct{}

func (brokenInserter) InsertTx(context.Context, *sql.Tx, []reset.Entry) error {
	return errors.New("the outbox takes nothing")
}

// TestNobodyIsToldOfWhatWasUndone: two callers claim one request in one commit,
// and the commit fails. The second has seen the first one's claim, which is
// undone; it must not be told that the link was used.
func TestNobodyIsToldOfWhatWasUndone(t *testing.T) {
	t.Parallel()
	broken := func(sqlite.RiverDriver) (sqlite.Inserter, error) { return brokenInserter{}, nil }
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "sparekey.db"), Inserter: broken})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, now, id := t.Context(), time.Now(), reset.NewID().Digest()
	err = s.Update(ctx, func(tx reset.Tx) error { return tx.OpenRequest(ctx, id, "ada", now, now.Add(time.Hour)) })
	if err != nil {
		t.Fatal(err)
	}
	const callers = 20
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		busy    = make(chan struct{})
		entered = make(chan struct{})
	)
	wg.Go(func() { // keeps the writer busy until the others wait for it
		_ = s.Update(ctx, func(reset.Tx) error { close(entered); <-busy; return nil })
	})
	<-entered
	for range callers {
		wg.Go(func() {
			err := s.Update(ctx, func(tx reset.Tx) error {
				if _, err := tx.Claim(ctx, id, now); err != nil {
					return err
				}
				return tx.Enqueue(ctx, reset.NoticeEntry{UserID: "ada"})
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil || errors.Is(err, reset.ErrNoRequest) {
				t.Errorf("a caller was told %v, and nothing was done", err)
			}
		})
	}
	sqlite.WaitQueued(s, callers)
	close(busy)
	wg.Wait()
	if r, err := s.RequestByDigest(ctx, id); err != nil || r.State != reset.StateOpen {
		t.Errorf("afterwards the request is %s, %v", r.State, err)
	}
}
