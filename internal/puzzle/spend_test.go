package puzzle_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/puzzle/puzzletest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// spend asks with what came along and answers the error.
func spend(t testing.TB, w *servicetest.World, p *puzzle.Puzzle, c reset.Caller, now time.Time) error {
	t.Helper()
	pass, err := p.Check(c, now)
	if err != nil {
		return err
	}
	return w.Store.Update(t.Context(), func(tx reset.Tx) error { return pass.Spend(t.Context(), tx, now) })
}

func with(solution string) reset.Caller { return reset.Caller{Proof: reset.Proof{Solution: solution}} }

// fault tells what is wrong with the solution; empty for nothing.
func fault(t testing.TB, err error) reset.Fault {
	t.Helper()
	if err == nil {
		return ""
	}
	e, refused := errors.AsType[*reset.Error](err)
	if !refused {
		t.Fatal(err)
	}
	f, _ := e.Details["puzzle"].(reset.Fault)
	return f
}

func TestASolutionIsGoodOnce(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	p := newPuzzle(20)
	// The clock of another replica is behind, and this one's limits were purged meanwhile.
	const behind = 30 * time.Second
	solution := puzzletest.Solve(t, challenge(t, p, start)).Text(t)
	for i, step := range []struct {
		at   time.Duration
		want reset.Fault
	}{{time.Second, ""}, {time.Second, "used"}, {0, "used"}, {puzzle.Life - time.Millisecond, "used"}, {puzzle.Life, "expired"}} {
		if got := fault(t, spend(t, w, p, with(solution), start.Add(step.at))); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
	purge := func(now time.Time) {
		if err := w.Store.Update(t.Context(), func(tx reset.Tx) error { _, err := tx.Purge(t.Context(), now, now, now); return err }); err != nil {
			t.Fatal(err)
		}
	}
	purge(start.Add(puzzle.Life - time.Millisecond + behind))
	if got := fault(t, spend(t, w, p, with(solution), start.Add(puzzle.Life-time.Millisecond))); got != reset.FaultUsed {
		t.Errorf("at a replica whose clock is behind: %q, want %q", got, reset.FaultUsed)
	}
	if rows := strings.Count(w.Dump(t), "limits ["); rows != 1 {
		t.Errorf("%d are remembered, want 1", rows)
	}
	purge(start.Add(puzzle.Life + time.Minute))
	if rows := strings.Count(w.Dump(t), "limits ["); rows != 0 {
		t.Errorf("%d are remembered when they are good for nothing", rows)
	}
}

// What was not committed is not used up: whoever is refused for another reason may come again.
func TestASolutionIsUsedWithTheRequest(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	p := newPuzzle(20)
	solution := puzzletest.Solve(t, challenge(t, p, start)).Text(t)
	pass, err := p.Check(with(solution), start)
	if err != nil {
		t.Fatal(err)
	}
	throttled := errors.New("too often")
	err = w.Store.Update(t.Context(), func(tx reset.Tx) error { return errors.Join(pass.Spend(t.Context(), tx, start), throttled) })
	if !errors.Is(err, throttled) {
		t.Fatal(err)
	}
	if err := spend(t, w, p, with(solution), start); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

func TestOfManyAtOnceOneAsks(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	p := newPuzzle(20)
	for range 5 {
		solution := puzzletest.Solve(t, challenge(t, p, start)).Text(t)
		var (
			wg     sync.WaitGroup
			passed atomic.Int32
		)
		for range 16 {
			wg.Go(func() {
				switch err := spend(t, w, p, with(solution), start); fault(t, err) {
				case "":
					passed.Add(1)
				case reset.FaultUsed:
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := passed.Load(); n != 1 {
			t.Errorf("%d of 16 asked with one solution", n)
		}
	}
}

// TestNoChangeMakesASecondUse: any solved challenge is good once, and whatever
// byte of it is changed, it is wrong, or the same challenge and used.
func TestNoChangeMakesASecondUse(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	rapid.Check(t, func(r *rapid.T) {
		p := newPuzzle(rapid.IntRange(1, 8).Draw(r, "difficulty"))
		now := start.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(r, "now")))
		text := puzzletest.Solve(t, challenge(t, p, now)).Text(t)
		if err := spend(t, w, p, with(text), now); err != nil {
			r.Fatalf("a good one: %v", err)
		}
		changed := []byte(text)
		if rapid.Bool().Draw(r, "inside") {
			decoded, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				r.Fatal(err)
			}
			changed = decoded
		}
		at := rapid.IntRange(0, len(changed)-1).Draw(r, "at")
		changed[at] ^= rapid.ByteRange(1, 255).Draw(r, "by")
		again := string(changed)
		if len(changed) != len(text) {
			again = base64.StdEncoding.EncodeToString(changed)
		}
		if got := fault(t, spend(t, w, p, with(again), now)); got != reset.FaultWrong && got != reset.FaultUsed {
			r.Fatalf("changed at %d: %q", at, got)
		}
	})
}

// TestBrowsersWithoutScripts: by the page alone, and few.
func TestBrowsersWithoutScripts(t *testing.T) {
	t.Parallel()
	key := []byte("key")
	ask := func(w *servicetest.World, p *puzzle.Puzzle, client int, page bool) *reset.Error {
		t.Helper()
		c := reset.Caller{Client: fmt.Sprint("192.0.2.", client), Proof: reset.Proof{Page: page}}
		if err := spend(t, w, p, c, start); err != nil {
			return reset.AsError(err)
		}
		return nil
	}
	w := servicetest.New(t)
	p := puzzle.New(key, puzzle.Options{Difficulty: 20, WithoutScript: 5})
	for i, step := range []struct {
		client int
		page   bool
		want   reset.Kind
		wait   time.Duration
	}{
		{1, false, reset.Invalid, 0},
		{1, true, reset.Internal, 0}, // none
		{1, true, reset.Internal, 0},
		{1, true, reset.Internal, 0},
		{1, true, reset.Throttled, 20 * time.Minute},
		{2, true, reset.Internal, 0},
		{2, true, reset.Internal, 0},
		{2, true, reset.Throttled, 12 * time.Minute}, // all together
		{3, true, reset.Throttled, 12 * time.Minute},
	} {
		got := &reset.Error{}
		if e := ask(w, p, step.client, step.page); e != nil {
			got = e
		}
		if got.Kind != step.want || got.RetryAfter != step.wait || got.Kind != 0 && got.Details["puzzle"] != reset.FaultMissing {
			t.Errorf("step %d: %+v, want kind %d and a wait of %v", i, got, step.want, step.wait)
		}
	}
	if dump := w.Dump(t); strings.Contains(dump, "192.0.2") {
		t.Errorf("the limits name a client:\n%s", dump)
	}
	none := puzzle.New(key, puzzle.Options{Difficulty: 20})
	if e := ask(servicetest.New(t), none, 1, true); e == nil || e.Kind != reset.Invalid || e.Code != reset.CodeMissing {
		t.Errorf("where none may: %+v", e)
	}
}
