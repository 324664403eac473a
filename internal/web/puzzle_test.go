package web_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/puzzle/puzzletest"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// puzzled is a site that demands puzzles.
func puzzled(t *testing.T, withoutScript int, opts ...servicetest.Option) *site {
	t.Helper()
	return newSite(t, "/auth", append(opts, servicetest.WithPuzzle(puzzle.Options{Difficulty: 20, WithoutScript: withoutScript}))...)
}

// solve answers the puzzle of a page, as its script would.
func solve(t *testing.T, p page) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	challenge := ""
	walk(doc, func(n *html.Node) {
		if n.Data == "form" {
			challenge = attr(n, "data-challenge")
		}
	})
	return puzzletest.Solve(t, []byte(challenge)).Text(t)
}

func TestAskingTakesASolvedPuzzle(t *testing.T) {
	t.Parallel()
	s := puzzled(t, 0)
	p := s.person(t)
	opened := p.get("/auth/forgot")
	opened.want(t, http.StatusOK, "/auth/forgot", "<noscript>", `data-renew="/auth/forgot/challenge"`)
	solution := solve(t, opened)
	p.post("/auth/forgot", "email", "no address", "altcha", solution).want(t, http.StatusBadRequest, "/auth/forgot", `id="email-problem"`, "data-challenge")
	p.post("/auth/forgot", "email", ada, "altcha", solution).want(t, http.StatusOK, "/auth/sent")

	used := p.post("/auth/forgot", "email", ada, "altcha", solution)
	used.want(t, http.StatusBadRequest, "/auth/forgot", "was used before", `value="`+ada+`"`, "<title>Error: ", `role="alert"`)
	late := solve(t, used) // a new puzzle comes with the refusal
	s.Clock.Advance(puzzle.Life)
	p.post("/auth/forgot", "email", ada, "altcha", late).want(t, http.StatusBadRequest, "/auth/forgot", "has expired")
	for _, bad := range []string{"x", solution + "=", strings.Repeat("A", 60_000)} {
		p.post("/auth/forgot", "email", ada, "altcha", bad).want(t, http.StatusBadRequest, "/auth/forgot", "send the form once more")
	}
	again := solve(t, page{body: `<form data-challenge='` + p.get("/auth/forgot/challenge").body + `'>`})
	p.post("/auth/forgot", "email", ada, "altcha", again, "altcha", again).want(t, http.StatusBadRequest, "/auth/forgot")
	p.post("/auth/forgot", "email", ada, "altcha", again).want(t, http.StatusOK, "/auth/sent")
	if n := len(s.Pending()); n != 2 {
		t.Errorf("%d mails are on their way, want 2", n)
	}
}

// TestAskingWithoutScripts: as long as few do, it works; then the page says what else there is.
func TestAskingWithoutScripts(t *testing.T) {
	t.Parallel()
	s := puzzled(t, 2)
	p := s.person(t)
	p.post("/auth/forgot", "email", ada, "altcha", "").want(t, http.StatusOK, "/auth/sent")
	p.post("/auth/forgot", "email", ada).want(t, http.StatusOK, "/auth/sent") // as browsers of before send it
	over := p.post("/auth/forgot", "email", ada)
	over.want(t, http.StatusTooManyRequests, "/auth/forgot", "turn JavaScript on", "wait a while", "ask the people who run this service", `value="`+ada+`"`)
	if got := over.header.Get("Retry-After"); got != "1800" {
		t.Errorf("Retry-After is %q, want 1800", got)
	}
	s.Clock.Advance(30 * time.Minute)
	p.post("/auth/forgot", "email", ada).want(t, http.StatusOK, "/auth/sent")

	never := puzzled(t, 0).person(t)
	never.post("/auth/forgot", "email", ada).want(t, http.StatusBadRequest, "/auth/forgot", "turn it on", "ask the people who run this service")
}

// Where no puzzles are demanded the pages know of none.
func TestNoPuzzleUnlessDemanded(t *testing.T) {
	t.Parallel()
	p := newSite(t, "").person(t)
	got := p.get("/forgot")
	for _, trace := range []string{"script", "challenge", "altcha", "role="} {
		if strings.Contains(got.body, trace) {
			t.Errorf("the page has %q:\n%s", trace, got.body)
		}
	}
	if csp := got.header.Get("Content-Security-Policy"); strings.Contains(csp, "worker-src") || strings.Contains(csp, "connect-src") {
		t.Errorf("the policy allows what nobody needs: %s", csp)
	}
	p.get("/forgot/challenge").want(t, http.StatusNotFound, "/forgot/challenge", "page does not exist")
	p.post("/forgot", "email", ada, "altcha", "x").want(t, http.StatusOK, "/sent")
}

// TestThePageIsLight: all of it, with what it takes to solve a puzzle, is at most
// 30 KB and two requests besides (and the icon).
func TestThePageIsLight(t *testing.T) {
	t.Parallel()
	p := puzzled(t, 0).person(t)
	got := p.get("/auth/forgot")
	doc, err := html.Parse(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	size, parts := len(got.body), 0
	walk(doc, func(n *html.Node) {
		for _, name := range []string{"src", "href"} {
			if path := attr(n, name); strings.HasPrefix(path, "/auth/assets/") {
				size += len(p.get(path).body)
				parts++
			}
		}
	})
	if parts != 3 || size > 30_000 {
		t.Errorf("%d parts besides the page, %d bytes in all", parts, size)
	}
}

// TestTheWorkerIsAltchas: what is embedded is what the npm package holds, to the byte.
func TestTheWorkerIsAltchas(t *testing.T) {
	t.Parallel()
	p := puzzled(t, 0).person(t)
	_, name, _ := strings.Cut(p.get("/auth/forgot").body, `<script src="`)
	name, _, _ = strings.Cut(name, `"`)
	served := p.get(name).body
	const installed = "../puzzle/testdata/npm/node_modules/altcha"
	for ours, theirs := range map[string]string{"pbkdf2.js": "dist/workers/pbkdf2.js", "LICENSE.txt": "LICENSE.txt"} {
		got, err := os.ReadFile(filepath.Join("altcha", ours))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(installed, theirs))
		if err != nil {
			t.Fatalf("%v; run script/setup", err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("altcha/%s is not what the package holds; run script/vendor-altcha", ours)
		}
		if !strings.Contains(served, string(want)) {
			t.Errorf("what is served does not hold %s", ours)
		}
	}
}
