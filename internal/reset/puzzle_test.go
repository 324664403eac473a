package reset_test

import (
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/puzzle/puzzletest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/throttle"
)

// solved is visitor with a puzzle that they have solved.
func solved(t testing.TB, w *servicetest.World) reset.Caller {
	t.Helper()
	challenge, err := w.Puzzle.Challenge(w.Clock.Now())
	must(t, err)
	c := visitor
	c.Proof.Solution = puzzletest.Solve(t, challenge).Text(t)
	return c
}

// Whoever has solved nothing takes nothing of what all callers have in common.
func TestUnsolvedTakesNothingFromOthers(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle(), servicetest.WithPuzzle(puzzle.Options{Difficulty: 1, WithoutScript: 60}))
	before := w.Dump(t)
	for range throttle.Defaults().Service.Count + 1 {
		e := refused(t, "unsolved", w.Service.Ask(t.Context(), visitor, []string{ada}), reset.Invalid, reset.CodeMissing)
		same(t, "the fault", e.Details["puzzle"], reset.FaultMissing)
	}
	same(t, "the database", w.Dump(t), before)
	must(t, w.Service.Ask(t.Context(), solved(t, w), []string{ada}))
}

// Whoever is refused for another reason has not used their solution up.
func TestAThrottledCallerKeepsTheSolution(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle(), servicetest.WithPuzzle(puzzle.Options{Difficulty: 1}))
	for range throttle.Defaults().Client.Count {
		must(t, w.Service.Ask(t.Context(), solved(t, w), []string{ada}))
	}
	c := solved(t, w)
	refused(t, "the 31st", w.Service.Ask(t.Context(), c, []string{ada}), reset.Throttled, reset.CodeRestriction)
	w.Clock.Advance(time.Minute)
	must(t, w.Service.Ask(t.Context(), c, []string{ada}))
	e := refused(t, "again", w.Service.Ask(t.Context(), c, []string{ada}), reset.Invalid, reset.CodeBadValue)
	same(t, "the fault", e.Details["puzzle"], reset.FaultUsed)
}

// Who has a key solves nothing, in bulk or not.
func TestKeysSolveNothing(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithPuzzle(puzzle.Options{Difficulty: 1}))
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	must(t, w.Service.Ask(t.Context(), admin, []string{ada}))
	_, err := w.Service.AskBulk(t.Context(), admin, []string{ada})
	must(t, err)
}
