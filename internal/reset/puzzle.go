package reset

import (
	"context"
	"time"
)

// Puzzle asks for work of callers without a key, so that asking for very many costs them something.
type Puzzle interface {
	// Check tells whether a caller may ask, by what came along with the call and
	// nothing else: it costs next to nothing, and the same for everybody. If not
	// it answers an error that Unsolved makes.
	Check(c Caller, now time.Time) (Pass, error)
}

// Pass is good for asking once.
type Pass interface {
	// Spend uses it up as part of tx, the transaction that takes the request. Of any
	// number of callers with one pass one succeeds, whatever process they come to; the
	// others are answered an error that Unsolved makes, or one of kind Throttled.
	Spend(ctx context.Context, tx Tx, now time.Time) error
}

// Proof is what a caller has to show for their work.
type Proof struct {
	// Solution is the solved puzzle, as it was sent; empty if none was.
	Solution string
	// Page says that a person asks in a browser, which may be unable to solve puzzles.
	Page bool
}

// Fault is what is wrong with a solution.
type Fault string

// The faults of solutions. Programs know them by details.puzzle.
const (
	FaultMissing Fault = "missing" // none was sent
	FaultWrong   Fault = "wrong"   // it is none, or of a puzzle that is not ours
	FaultExpired Fault = "expired" // it came too late
	FaultUsed    Fault = "used"    // it was good, and somebody has asked with it
)

// Unsolved is the error for a call whose solution has a fault. In all cases a new puzzle helps.
func Unsolved(f Fault) *Error {
	const next = "; please get a new challenge"
	messages := map[Fault]string{
		FaultMissing: "altcha is missing; a call without a key needs a solved challenge, so please get one first",
		FaultWrong:   "altcha does not solve a challenge of ours" + next,
		FaultExpired: "altcha solves a challenge that has expired" + next,
		FaultUsed:    "altcha was used already" + next,
	}
	e := Invalidf("%s", messages[f])
	e.Details = map[string]any{"puzzle": f}
	if f == FaultMissing {
		e.Code = CodeMissing
	}
	return e
}

// Demand has callers without a key solve puzzles before they ask. Call it before anybody asks.
func (s *Service) Demand(p Puzzle) { s.puzzle = p }

// pass answers what the caller may ask with.
func (s *Service) pass(c Caller, now time.Time) (Pass, error) {
	if s.puzzle == nil || c.Key != nil {
		return free{}, nil
	}
	return s.puzzle.Check(c, now)
}

// free is the pass of whom no work is asked.
type free struct{}

// Spend implements Pass.
func (free) Spend(context.Context, Tx, time.Time) error { return nil }
