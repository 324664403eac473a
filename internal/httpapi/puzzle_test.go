package httpapi_test

import (
	"testing"

	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/puzzle/puzzletest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

const challengePath = "/api/1.0/reset-password/challenge"

// withPuzzles makes the API hand out the puzzles that w demands.
func withPuzzles(w *servicetest.World) func(*httpapi.Options) {
	return func(o *httpapi.Options) {
		o.Challenge = func() ([]byte, error) { return w.Puzzle.Challenge(w.Clock.Now()) }
	}
}

func TestAskingTakesASolvedPuzzle(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithPuzzle(puzzle.Options{Difficulty: 20, WithoutScript: 60}))
	a := serve(t, w, withPuzzles(w), origins(appOrigin))
	w.AddUser(t, "ann@example.com", "Ann")
	solve := func() string {
		got := a.do(t, "GET", challengePath, "", "Origin", appOrigin)
		if got.Status != 200 || got.Header.Get("Access-Control-Allow-Origin") != appOrigin {
			t.Fatalf("a challenge: %+v", got)
		}
		return puzzletest.Solve(t, []byte(got.Body)).Text(t)
	}
	ask := func(altcha string, headers ...string) answer {
		return a.do(t, "POST", askPath, `{"email":["ann@example.com"],"altcha":`+altcha+`}`, headers...)
	}
	fault := func(got answer, code reset.Code, want string) {
		t.Helper()
		got.failed(t, 400, code)
		var model struct {
			Details struct {
				Puzzle string `json:"puzzle"`
			} `json:"details"`
		}
		decode(t, got.Body, &model)
		if model.Details.Puzzle != want {
			t.Errorf("details.puzzle is %q, want %q", model.Details.Puzzle, want)
		}
	}
	before := a.Dump(t)
	fault(a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`), reset.CodeMissing, "missing")
	fault(ask(`""`), reset.CodeMissing, "missing")
	fault(ask(`null`), reset.CodeMissing, "missing")
	ask(`7`).failed(t, 400, reset.CodeBadValue)
	ask(`{"challenge":{}}`).failed(t, 400, reset.CodeBadValue)
	fault(ask(`"x"`), reset.CodeBadValue, "wrong")
	late := solve()
	w.Clock.Advance(puzzle.Life)
	fault(ask(`"`+late+`"`), reset.CodeBadValue, "expired")
	a.untouched(t, before)

	solution := `"` + solve() + `"`
	// The list is looked at first: what is wrong with it costs no puzzle.
	a.do(t, "POST", askPath, `{"email":["ann"],"altcha":`+solution+`}`).failed(t, 400, reset.CodeBadValue)
	ask(solution).is(t, 200, `{"email":["ann@example.com"]}`)
	fault(ask(solution), reset.CodeBadValue, "used")
	a.WorkOutbox(t)
	if n := len(a.Links()); n != 1 {
		t.Errorf("%d mails were sent, want 1", n)
	}

	// Who sends a key has nothing to solve, and who sends a bad one is told that.
	key := w.NewKey(t, "admin", reset.ScopeAdmin, "")
	if got := a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`, "X-Auth-Token", key); got.Status != 202 {
		t.Errorf("with a key: %+v", got)
	}
	ask(`"`+solve()+`"`, "X-Auth-Token", "nobody's").failed(t, 401, reset.CodeNotAuthorized)
}

// TestPuzzlesTellNothing: known and unknown addresses are answered alike, with a solution and without.
func TestPuzzlesTellNothing(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithPuzzle(puzzle.Options{Difficulty: 20}))
	a := serve(t, w, withPuzzles(w))
	w.AddUser(t, "ann@example.com", "Ann")
	for name, solution := range map[string]func() string{
		"solved": func() string { return puzzletest.Solve(t, []byte(a.do(t, "GET", challengePath, "").Body)).Text(t) },
		"wrong":  func() string { return "x" }, "missing": func() string { return "" },
	} {
		ask := func(address string) answer {
			got := a.do(t, "POST", askPath, `{"email":["`+address+`"],"altcha":"`+solution()+`"}`)
			if got.Status == 200 {
				got.Body = got.Body[len(`{"email":["`+address):]
			}
			return got
		}
		same(t, name, ask("bob@example.com"), ask("ann@example.com"))
	}
}

func TestNoPuzzleUnlessDemanded(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.do(t, "GET", challengePath, "").failed(t, 404, reset.CodeNotFound)
	a.do(t, "POST", askPath, `{"email":["ann@example.com"],"altcha":"x"}`).is(t, 200, `{"email":["ann@example.com"]}`)
}
