package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sparekey/sparekey/internal/httpapi/contracttest"
)

// application is told of events. Its first call is never answered.
type application struct {
	*httptest.Server
	mu      sync.Mutex
	calls   []told
	release chan struct{}
}

type told struct {
	header http.Header
	body   []byte
}

func newApplication(t *testing.T) *application {
	t.Helper()
	a := &application{release: make(chan struct{})}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a.mu.Lock()
		a.calls = append(a.calls, told{r.Header, body})
		first := len(a.calls) == 1
		a.mu.Unlock()
		if first {
			<-a.release
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(func() { close(a.release); a.Close() })
	return a
}

func (a *application) took() []told {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

// TestEventThroughAKill: while the target does not answer a reset is answered and
// its notice sent; the service is killed in the middle of the delivery, and tells
// the same event again, once, signed.
func TestEventThroughAKill(t *testing.T) {
	t.Parallel()
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eventThroughAKill(t, newWorldOn(t, open(t), 2))
		})
	}
}

func eventThroughAKill(t *testing.T, w *world) {
	t.Helper()
	app := newApplication(t)
	target := app.URL + "/hooks/sparekey"
	w.env = append(w.env, "SPAREKEY_EVENTS_TARGETS="+target, "SPAREKEY_EVENTS_TYPES=password.reset",
		"SPAREKEY_EVENTS_ALLOW_PRIVATE=127.0.0.1", "SPAREKEY_SECRET=0123456789abcdef0123456789abcdef")
	secret, found := strings.CutPrefix(must(t, w.env, "", "event", "secrets"), target+"=")
	if !found {
		t.Fatal("the command does not print the target's secret")
	}
	w.start(t)
	w.ask(t, person(0))
	w.settled(t)
	ids := w.links(t)
	if status := w.reset(ids[person(0)][0]); status != http.StatusOK {
		t.Fatalf("the reset answered %d", status)
	}
	until(t, "the first attempt", time.Minute, func() bool { return len(app.took()) == 1 })
	until(t, "the notice", time.Minute, func() bool { return w.smtp.Count() == 2 })
	w.kill(t)
	w.start(t)
	w.settled(t)
	calls := app.took()
	if len(calls) != 2 {
		t.Fatalf("the target was called %d times, want once before the kill and once after", len(calls))
	}
	if id := calls[0].header.Get("webhook-id"); id == "" || id != calls[1].header.Get("webhook-id") || !bytes.Equal(calls[0].body, calls[1].body) {
		t.Errorf("the event came as %s %s and %s %s", id, calls[0].body, calls[1].header.Get("webhook-id"), calls[1].body)
	}
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		if err := hook.Verify(c.body, c.header); err != nil {
			t.Error(err)
		}
		contracttest.Event(t, c.header, c.body)
		var e struct {
			Type string
			Data struct {
				Email    string
				Accounts []struct{ Name string }
			}
		}
		if err := json.Unmarshal(c.body, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "password.reset" || e.Data.Email != person(0) || len(e.Data.Accounts) != 1 || e.Data.Accounts[0].Name != "Acme" {
			t.Errorf("the event is %s", c.body)
		}
		for _, s := range []string{ids[person(0)][0], password, w.key} {
			if bytes.Contains(c.body, []byte(s)) {
				t.Errorf("the event has a secret: %s", c.body)
			}
		}
	}
	w.secretsAreNotAtRest(t, ids)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	log, _ := w.server.output.look()
	for _, rest := range [][]byte{w.db.atRest(t), []byte(log)} {
		if bytes.Contains(rest, raw) || bytes.Contains(rest, []byte(strings.TrimPrefix(secret, "whsec_"))) {
			t.Error("the target's secret is at rest, or in the log")
		}
	}
}
