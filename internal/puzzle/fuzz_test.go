package puzzle_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/sparekey/sparekey/internal/puzzle/puzzletest"
	"github.com/sparekey/sparekey/internal/reset"
)

// FuzzSolutions: whatever comes, nothing breaks, and only what holds the
// signed challenge and its key is good.
func FuzzSolutions(f *testing.F) {
	p := newPuzzle(20)
	f.Add(puzzletest.Solve(f, challenge(f, p, start)).Text(f))
	f.Add("")
	f.Add("bnVsbA==")
	for _, text := range []string{
		`{}`, `[]`, `{"challenge":null,"solution":null}`, `{"challenge":{},"solution":{"counter":1}}`,
		`{"challenge":{"parameters":{"cost":1e99}}}`, `{"solution":{"counter":-1}}`, `{"solution":{"counter":1.5,"counter":1}}`,
		`{"challenge":{"parameters":{"nonce":"\ud800"}},"solution":{"counter":4294967296,"derivedKey":"zz"}}`,
	} {
		f.Add(base64.StdEncoding.EncodeToString([]byte(text)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		pass, err := p.Check(reset.Caller{Proof: reset.Proof{Solution: text}}, start)
		if (err == nil) == (pass == nil) {
			t.Fatalf("a pass %v and an error %v", pass, err)
		}
		if err != nil {
			return
		}
		var sent puzzletest.Payload
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err == nil {
			err = json.Unmarshal(decoded, &sent)
		}
		if err != nil {
			t.Fatalf("good for asking, and cannot be read: %v: %q", err, text)
		}
		challenge, err := json.Marshal(sent.Challenge)
		if err != nil {
			t.Fatal(err)
		}
		if want := puzzletest.Solve(t, challenge).Solution.DerivedKey; sent.Solution.DerivedKey != want {
			t.Fatalf("good for asking with the key %s instead of %s", sent.Solution.DerivedKey, want)
		}
	})
}

func BenchmarkChallenge(b *testing.B) {
	p := newPuzzle(5000)
	for b.Loop() {
		challenge(b, p, start)
	}
}

func BenchmarkCheck(b *testing.B) {
	p := newPuzzle(5)
	text := puzzletest.Solve(b, challenge(b, p, start)).Text(b)
	for b.Loop() {
		if _, err := p.Check(reset.Caller{Proof: reset.Proof{Solution: text}}, start); err != nil {
			b.Fatal(err)
		}
	}
}
