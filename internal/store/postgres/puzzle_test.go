package postgres_test

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/puzzle/puzzletest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/throttle"
)

// TestAPuzzleIsUsedOnce: of 16 callers who come with one solution to two
// replicas at once, one asks.
func TestAPuzzleIsUsedOnce(t *testing.T) {
	t.Parallel()
	address := cluster.Database(t)
	replicas := make([]*reset.Service, 2)
	quiet := slog.New(slog.DiscardHandler)
	var made *puzzle.Puzzle
	for i := range replicas {
		s := open(t, address)
		made = puzzle.New([]byte("what both replicas derive"), puzzle.Options{Difficulty: 20})
		replicas[i] = reset.NewService(reset.Config{MaxAddresses: 1}, s, nil, nil, throttle.Off{}, time.Now, quiet)
		replicas[i].Demand(made)
	}
	for range 5 {
		challenge, err := made.Challenge(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		caller := reset.Caller{Proof: reset.Proof{Solution: puzzletest.Solve(t, challenge).Text(t)}}
		var (
			wg    sync.WaitGroup
			asked atomic.Int32
		)
		for i := range 16 {
			wg.Go(func() {
				err := replicas[i%2].Ask(t.Context(), caller, []string{"ada@example.test"})
				e, refused := errors.AsType[*reset.Error](err)
				switch {
				case err == nil:
					asked.Add(1)
				case !refused || e.Details["puzzle"] != reset.FaultUsed:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("%d of 16 asked with one solution", n)
		}
	}
}
