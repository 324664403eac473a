package puzzle_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/puzzle/puzzletest"
)

// question and verdict are what testdata/npm/judge.mjs reads and writes.
type question struct {
	Sign  string            `json:"sign"`
	Seal  string            `json:"seal"`
	Make  []map[string]any  `json:"make,omitempty"`
	Solve []json.RawMessage `json:"solve,omitempty"`
	Judge []string          `json:"judge,omitempty"`
}

type verdict struct {
	Made, Solved []string
	Verdicts     []bool
}

// altchaLib asks the npm package altcha-lib, in Node.
func altchaLib(t *testing.T, p *puzzle.Puzzle, q question) (v verdict) {
	t.Helper()
	const folder = "testdata/npm"
	if _, err := os.Stat(folder + "/node_modules"); err != nil {
		t.Fatal("what puzzles are held against is not installed; run script/setup")
	}
	q.Sign, q.Seal = p.Secrets()
	text, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "judge.mjs")
	cmd.Dir, cmd.Stdin = folder, bytes.NewReader(text)
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node judge.mjs: %v\n%s", err, faults.String())
	}
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("node judge.mjs: %v\n%s", err, out)
	}
	return v
}

// TestAltchaLibSolvesOurs: what we make altcha-lib can solve, and both say that it did.
func TestAltchaLibSolvesOurs(t *testing.T) {
	t.Parallel()
	p := newPuzzle(60)
	var q question
	for range 5 {
		// altcha-lib looks at the clock of the machine.
		q.Solve = append(q.Solve, challenge(t, p, time.Now()))
		q.Judge = append(q.Judge, puzzletest.Solve(t, challenge(t, p, time.Now())).Text(t))
	}
	q.Judge = append(q.Judge, puzzletest.Solve(t, challenge(t, newPuzzleWith("another key"), time.Now())).Text(t))
	got := altchaLib(t, p, q)
	if len(got.Solved) != 5 {
		t.Fatalf("%d were solved, want 5", len(got.Solved))
	}
	for _, solution := range got.Solved {
		if fault := check(p, solution, time.Now()); fault != "" {
			t.Errorf("altcha-lib's solution of our challenge is %s: %s", fault, solution)
		}
	}
	for i, yes := range got.Verdicts {
		if ours := i < 5; yes != ours {
			t.Errorf("altcha-lib says %t to our solution %d, want %t", yes, i, ours)
		}
	}
}

// TestWeTakeAltchaLibs: what altcha-lib makes we can check, and expires for us when it says.
func TestWeTakeAltchaLibs(t *testing.T) {
	t.Parallel()
	p := newPuzzle(60)
	expires := start.Add(time.Hour)
	q := question{Make: []map[string]any{
		{"cost": 1000, "counter": 7, "expiresAt": expires.Unix()},
		{"cost": 10, "counter": 0, "expiresAt": expires.Unix()},
		{"cost": 1, "counter": 300, "expiresAt": expires.Unix(), "keyPrefixLength": 3},
	}}
	for i, solution := range altchaLib(t, p, q).Made {
		for at, want := range map[time.Time]string{expires.Add(-time.Millisecond): "", expires: "expired"} {
			if got := check(p, solution, at); got != want {
				t.Errorf("altcha-lib's challenge %d at %v: %q, want %q", i, at, got, want)
			}
		}
	}
}

// TestAltchaLibRefusesWhatWeRefuse: nothing that we take is refused by altcha-lib, and
// what we refuse that it takes is written down with its reason.
func TestAltchaLibRefusesWhatWeRefuse(t *testing.T) {
	t.Parallel()
	p := newPuzzle(20)
	var (
		q     question
		cases []change
	)
	for _, c := range badSolutions() {
		cases = append(cases, c)
		q.Judge = append(q.Judge, c.apply(t, p, time.Now()))
	}
	for i, yes := range altchaLib(t, p, q).Verdicts {
		if yes != cases[i].lenient {
			t.Errorf("%s: altcha-lib says %t, want %t", cases[i].name, yes, cases[i].lenient)
		}
	}
}
