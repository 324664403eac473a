package puzzle_test

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/puzzle/puzzletest"
	"github.com/sparekey/sparekey/internal/reset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newPuzzle(difficulty int) *puzzle.Puzzle {
	return puzzle.New([]byte("a key of thirty-two bytes exactly"), puzzle.Options{Difficulty: difficulty})
}

func newPuzzleWith(key string) *puzzle.Puzzle {
	return puzzle.New([]byte(key), puzzle.Options{Difficulty: 20})
}

func challenge(t testing.TB, p *puzzle.Puzzle, now time.Time) []byte {
	t.Helper()
	c, err := p.Challenge(now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// check tells the fault of a solution, empty if it is good.
func check(p *puzzle.Puzzle, solution string, now time.Time) string {
	pass, err := p.Check(reset.Caller{Proof: reset.Proof{Solution: solution}}, now)
	e, refused := errors.AsType[*reset.Error](err)
	switch {
	case err == nil && pass != nil:
		return ""
	case !refused || e.Kind != reset.Invalid || pass != nil:
		return "answered as it must not be"
	}
	fault, _ := e.Details["puzzle"].(reset.Fault)
	return string(fault)
}

func TestASolutionIsGoodUntilItExpires(t *testing.T) {
	t.Parallel()
	p := newPuzzle(20)
	solution := puzzletest.Solve(t, challenge(t, p, start)).Text(t)
	for after, want := range map[time.Duration]string{
		0: "", puzzle.Life - time.Millisecond: "", puzzle.Life: "expired", puzzle.Life + time.Millisecond: "expired", 24 * time.Hour: "expired",
	} {
		if got := check(p, solution, start.Add(after)); got != want {
			t.Errorf("after %v: %q, want %q", after, got, want)
		}
	}
	// What else comes along changes nothing.
	decoded, err := base64.StdEncoding.DecodeString(solution)
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(string(decoded), `"solution":{`, `"took":1,"solution":{"worker":true,`, 1)
	if got := check(p, base64.StdEncoding.EncodeToString([]byte(more)), start); got != "" || more == string(decoded) {
		t.Errorf("with more than we know: %q", got)
	}
	// Another process with the same key takes it; one with another key does not.
	if got := check(newPuzzle(1), solution, start); got != "" {
		t.Errorf("a process with the same key says %q", got)
	}
	if got := check(newPuzzleWith("another key"), solution, start); got != "wrong" {
		t.Errorf("a process with another key says %q", got)
	}
	if got := check(p, "", start); got != "missing" {
		t.Errorf("without a solution: %q", got)
	}
}

// change spoils a good solution.
type change struct {
	name    string
	payload func(t *testing.T, p *puzzletest.Payload)
	text    func(text string) string
	// lenient says that altcha-lib takes it all the same.
	lenient bool
}

// apply answers a spoilt solution of a challenge of p.
func (c change) apply(t *testing.T, p *puzzle.Puzzle, now time.Time) string {
	t.Helper()
	payload := puzzletest.Solve(t, challenge(t, p, now))
	if c.payload != nil {
		c.payload(t, &payload)
	}
	text := payload.Text(t)
	if c.text != nil {
		text = c.text(text)
	}
	return text
}

func set(name string, value any) func(*testing.T, *puzzletest.Payload) {
	return func(_ *testing.T, p *puzzletest.Payload) { p.Challenge.Parameters[name] = value }
}

func counter(value any) func(*testing.T, *puzzletest.Payload) {
	return func(_ *testing.T, p *puzzletest.Payload) { p.Solution.Counter = value }
}

// otherDigit changes the last digit.
func otherDigit(s string) string {
	if strings.HasSuffix(s, "0") {
		return s[:len(s)-1] + "1"
	}
	return s[:len(s)-1] + "0"
}

// badSolutions are all wrong.
func badSolutions() []change {
	other := func(name string) func(*testing.T, *puzzletest.Payload) {
		return func(t *testing.T, p *puzzletest.Payload) {
			t.Helper()
			value, ok := p.Challenge.Parameters[name].(string)
			if !ok {
				t.Fatalf("%s is no text", name)
			}
			p.Challenge.Parameters[name] = otherDigit(value)
		}
	}
	return []change{
		{name: "another signature", payload: func(_ *testing.T, p *puzzletest.Payload) { p.Challenge.Signature = otherDigit(p.Challenge.Signature) }},
		{name: "no signature", payload: func(_ *testing.T, p *puzzletest.Payload) { p.Challenge.Signature = "" }},
		{name: "a signature in capitals", payload: func(_ *testing.T, p *puzzletest.Payload) {
			p.Challenge.Signature = strings.ToUpper(p.Challenge.Signature)
		}},
		{name: "another nonce", payload: other("nonce")},
		{name: "another salt", payload: other("salt")},
		{name: "another prefix", payload: other("keyPrefix")},
		{name: "no prefix", payload: set("keyPrefix", "")},
		{name: "another seal", payload: other("keySignature")},
		{name: "another algorithm", payload: set("algorithm", "PBKDF2/SHA-1")},
		{name: "an algorithm of the first version", payload: set("algorithm", "SHA-1")},
		{name: "no algorithm", payload: set("algorithm", "none")},
		{name: "a lower cost", payload: set("cost", 1)},
		{name: "a shorter key", payload: set("keyLength", 16)},
		{name: "a second more", payload: func(_ *testing.T, p *puzzletest.Payload) {
			p.Challenge.Parameters["expiresAt"] = p.Challenge.Parameters["expiresAt"].(float64) + 1
		}},
		{name: "a time in the far future", payload: set("expiresAt", 99999999999)},
		{name: "no time", payload: func(_ *testing.T, p *puzzletest.Payload) { delete(p.Challenge.Parameters, "expiresAt") }},
		{name: "a time as text", payload: set("expiresAt", "99999999999")},
		// CVE-2025-68113: digits that move from one parameter into its neighbour.
		{name: "digits moved from the nonce to the salt", payload: func(_ *testing.T, p *puzzletest.Payload) {
			nonce, salt := p.Challenge.Parameters["nonce"].(string), p.Challenge.Parameters["salt"].(string)
			p.Challenge.Parameters["nonce"], p.Challenge.Parameters["salt"] = nonce[:len(nonce)-2], nonce[len(nonce)-2:]+salt
		}},
		{name: "a parameter inside of another", payload: set("algorithm", `PBKDF2/SHA-256","cost":1000,"x":"`)},
		{name: "a parameter besides", payload: set("data", map[string]any{"a": 1})},
		{name: "another key", payload: func(_ *testing.T, p *puzzletest.Payload) { p.Solution.DerivedKey = otherDigit(p.Solution.DerivedKey) }},
		{name: "the prefix as the key", payload: func(_ *testing.T, p *puzzletest.Payload) {
			p.Solution.DerivedKey, _ = p.Challenge.Parameters["keyPrefix"].(string)
		}},
		{name: "no key", payload: func(_ *testing.T, p *puzzletest.Payload) { p.Solution.DerivedKey = "" }},
		{name: "a key in capitals", payload: func(_ *testing.T, p *puzzletest.Payload) {
			p.Solution.DerivedKey = strings.ToUpper(p.Solution.DerivedKey)
		}},
		{name: "half a digit", payload: func(_ *testing.T, p *puzzletest.Payload) { p.Solution.DerivedKey += "0" }},
		{name: "a negative counter", payload: counter(-1)},
		{name: "a huge counter", payload: counter(math.MaxUint32 + 1)},
		{name: "a counter beyond all", payload: counter(1e300)},
		{name: "half a counter", payload: counter(0.5)},
		{name: "a counter as text", payload: counter("1")},
		{name: "no counter", payload: counter(nil)},
		{name: "not base64", text: func(s string) string { return "!" + s[1:] }},
		{name: "base64 of the other alphabet", text: func(s string) string { return strings.Repeat("_-", len(s)/2) }},
		{name: "cut off", text: func(s string) string { return s[:len(s)/2] }},
		{name: "twice", text: func(s string) string { return s + s }},
		{name: "base64 of no JSON", text: func(string) string { return "bm8gSlNPTg==" }},
		{name: "base64 of null", text: func(string) string { return "bnVsbA==" }},
		{name: "base64 of a list", text: func(string) string { return "W10=" }},
		{name: "1 MB", text: func(string) string { return strings.Repeat("A", 1<<20) }},
		{name: "1 MB of spaces before it", text: func(s string) string { return strings.Repeat("ICAg", 1<<18) + s }, lenient: true},
		{name: "a line break inside", text: func(s string) string { return s[:8] + "\n" + s[8:] }, lenient: true},
		{name: "a space in front", text: func(s string) string { return " " + s }, lenient: true},
	}
}

func TestBadSolutions(t *testing.T) {
	t.Parallel()
	p := newPuzzle(20)
	for _, c := range badSolutions() {
		if got := check(p, c.apply(t, p, start), start); got != "wrong" {
			t.Errorf("%s: %q, want it to be wrong", c.name, got)
		}
	}
	if got := check(p, change{}.apply(t, p, start), start); got != "" {
		t.Errorf("nothing was changed, and it is %s", got)
	}
}

// TestChallengesDiffer: no two are alike, they need as many tries as configured, and each may be the last.
func TestChallengesDiffer(t *testing.T) {
	t.Parallel()
	p := newPuzzle(4)
	nonces, counters := map[any]bool{}, map[any]bool{}
	const n = 100
	for range n {
		s := puzzletest.Solve(t, challenge(t, p, start))
		nonces[s.Challenge.Parameters["nonce"]] = true
		counters[s.Solution.Counter] = true
	}
	if len(nonces) != n {
		t.Errorf("%d challenges have %d nonces", n, len(nonces))
	}
	for i := range uint32(4) {
		if !counters[i] {
			t.Errorf("no challenge of %d took %d tries more than one: %v", n, i, counters)
		}
	}
	if len(counters) != 4 {
		t.Errorf("the counters are %v, want 0 to 3", counters)
	}
}
