package hookdir_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/reset"
)

// TestCheckOfTheReferenceApplications: an operator sees each step, and what a reset would do.
func TestCheckOfTheReferenceApplications(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		app := start(t, p)
		d := held(t, open(t, hookdir.Config{URL: app.URL(), Keys: [][]byte{app.Key}}))
		var steps []string
		must(t, d.Check(t.Context(), func(line string) { steps = append(steps, line) }))
		all := strings.Join(steps, "\n")
		for _, want := range []string{
			"127.0.0.1 is 127.0.0.1, which may be called", "connected without TLS, on this machine", "the application is well (" + p.Name + ")",
			"honours the Idempotency-Key", "refuses calls that are signed with another secret", "refuses calls that were signed an hour ago", "finds nobody",
		} {
			if !strings.Contains(all, want) {
				t.Errorf("%s: %q is missing from\n%s", p.Name, want, all)
			}
		}
		plan, err := d.Plan(t.Context(), reset.User{ID: "17"})
		must(t, err)
		if text := strings.Join(plan, "\n"); !strings.Contains(text, "POST "+app.URL()+"/set") || !strings.Contains(text, `"17"`) {
			t.Errorf("%s: the plan is %s", p.Name, text)
		}
	}
}

// TestCheckFindsWhatIsWrong: an application that lets anybody in above all.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	hook, err := standardwebhooks.NewWebhookRaw(key)
	must(t, err)
	strict := func(body []byte, h http.Header) error { return hook.Verify(body, h) }
	anybody := func([]byte, http.Header) error { return nil }
	whenever := func(body []byte, h http.Header) error { return hook.VerifyIgnoringTimestamp(body, h) }
	for name, c := range map[string]struct {
		verify       func([]byte, http.Header) error
		refuse       int
		health, find string
		setting      string
		words        []string
		steps        int
	}{
		"all is well":          {strict, 401, `{"idempotent":false}`, `{"users":[]}`, "", []string{"does not honour the Idempotency-Key"}, 7},
		"it answers 403":       {strict, 403, `{"idempotent":false}`, `{"users":[]}`, "", nil, 7},
		"anybody may call":     {anybody, 401, `{"idempotent":false}`, `{"users":[]}`, "url", []string{"that is signed with another secret", "anybody can change passwords"}, 4},
		"at any time":          {whenever, 401, `{"idempotent":false}`, `{"users":[]}`, "url", []string{"that was signed an hour ago"}, 5},
		"it fails instead":     {strict, 500, `{"idempotent":false}`, `{"users":[]}`, "url", []string{"500", "that is signed with another secret"}, 4},
		"health says nothing":  {strict, 401, `{}`, `{"users":[]}`, "url", []string{"health does not say"}, 1},
		"health is odd":        {strict, 401, `{"idempotent":"yes"}`, `{"users":[]}`, "url", []string{"at /idempotent"}, 1},
		"find answers the one": {strict, 401, `{"idempotent":true}`, `{"users":null}`, "url", []string{"find has no users"}, 6},
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			must(t, err)
			switch {
			case c.verify(body, r.Header) != nil:
				w.WriteHeader(c.refuse)
			case strings.HasSuffix(r.URL.Path, "/health"):
				answering(http.StatusOK, c.health)(w, r)
			default:
				answering(http.StatusOK, c.find)(w, r)
			}
		})
		var steps []string
		err := open(t, hookdir.Config{URL: s.URL}).Check(t.Context(), func(line string) { steps = append(steps, line) })
		said := strings.Join(steps, "\n")
		if c.setting == "" {
			must(t, err)
		} else {
			names(t, name, err, c.setting)
			said = err.Error()
		}
		for _, word := range c.words {
			if !strings.Contains(said, word) {
				t.Errorf("%s: %q is missing from %s", name, word, said)
			}
		}
		if len(steps) != c.steps {
			t.Errorf("%s: %d steps, want %d: %q", name, len(steps), c.steps, steps)
		}
	}
}

// TestClocksThatDiffer: the reference applications refuse what was signed too early or too late, and the operator is told that it is the clock.
func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		app := start(t, p)
		for _, off := range []time.Duration{-10 * time.Minute, -4 * time.Minute, 4 * time.Minute, 10 * time.Minute} {
			d := held(t, open(t, hookdir.Config{URL: app.URL(), Keys: [][]byte{app.Key}, Now: func() time.Time { return time.Now().Add(off) }}))
			_, err := d.UserByID(t.Context(), "1000000")
			if off.Abs() < 5*time.Minute {
				if err != reset.ErrNoUser { //nolint:errorlint // it is answered as it is
					t.Errorf("%s, %v off: %v", p.Name, off, err)
				}
				continue
			}
			names(t, p.Name, err, "secrets", "its clock is 10m0s away", "set the clocks right")
			err = set(t.Context(), d, "1000000", newPassword)
			certainly(t, p.Name, err)
			names(t, p.Name, err, "secrets", "away")
		}
	}
}
