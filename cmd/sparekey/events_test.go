package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// app is an application that knows one secret, and notes which events verify with it.
type app struct {
	*httptest.Server
	mu       sync.Mutex
	secret   string
	verified []bool
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		hook, err := standardwebhooks.NewWebhook(a.secret)
		a.verified = append(a.verified, err == nil && hook.Verify(body, r.Header) == nil)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(a.Close)
	return a
}

// knows gives it a secret. took returns what has come since the last time.
func (a *app) knows(secret string) { a.mu.Lock(); a.secret = secret; a.mu.Unlock() }

func (a *app) took() []bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.verified
	a.verified = nil
	return list
}

// TestChangeOfEventSecrets goes through the steps in docs/events.md: at no moment
// is there an event that does not verify, with the new secret or the old one; and
// one that is two changes old is good for nothing.
func TestChangeOfEventSecrets(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	env := environ(freshDatabase(t), "SPAREKEY_EVENTS_TARGETS="+a.URL, "SPAREKEY_EVENTS_ALLOW_PRIVATE=127.0.0.1")
	run := func(env []string, args ...string) string {
		t.Helper()
		out, stderr, code := sparekey(t, console{args: args, environ: env})
		if code != exitOK {
			t.Fatalf("%q: exit code %d: %s%s", args, code, out, stderr)
		}
		return strings.TrimSpace(out)
	}
	with := func(settings ...string) []string { return append(slices.Clone(env), settings...) }
	secretOf := func(env []string) string {
		_, secret, _ := strings.Cut(run(env, "event", "secrets"), "=")
		return secret
	}
	// verifies reports whether an event that is sent now verifies with the secret.
	verifies := func(env []string, secret string) bool {
		t.Helper()
		a.knows(secret)
		if out := run(env, "event", "test"); !strings.Contains(out, "it took a test event and answered 202") {
			t.Errorf("event test printed %s", out)
		}
		list := a.took()
		if len(list) != 1 {
			t.Fatalf("%d events came, want 1", len(list))
		}
		return list[0]
	}
	run(env, "migrate")
	second, third := with("SPAREKEY_EVENTS_SECRET_VERSION=2"), with("SPAREKEY_EVENTS_SECRET_VERSION=3")
	secret1, secret2, secret3 := secretOf(env), secretOf(second), secretOf(third)
	own := "whsec_" + strings.Repeat("Q", 32)
	kept := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(kept, []byte(run(env, "event", "secrets")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed := with("SPAREKEY_SECRET=0123456789abcdef0123456789abcdef")
	keeping := append(slices.Clone(changed), "SPAREKEY_EVENTS_SECRETS_FILE="+kept)
	for _, c := range []struct {
		what   string
		env    []string
		secret string
		want   bool
	}{
		{"at first", env, secret1, true},
		{"before the change, the next", env, secret2, false},
		{"changed, the old one", second, secret1, true},
		{"changed, the new one", second, secret2, true},
		{"changed again, the one before", third, secret2, true},
		{"changed again, the newest", third, secret3, true},
		{"changed again, the first", third, secret1, false},
		{"one of its own", with("SPAREKEY_EVENTS_SECRETS=" + a.URL + "=" + own), own, true},
		{"one of its own, and the derived", with("SPAREKEY_EVENTS_SECRETS=" + a.URL + "=" + own), secret1, true},
		{"secret changed, the old one", changed, secret1, false},
		{"secret changed and the old kept, the old one", keeping, secret1, true},
		{"secret changed and the old kept, the new one", keeping, secretOf(changed), true},
	} {
		if got := verifies(c.env, c.secret); got != c.want {
			t.Errorf("%s: an event verifies: %t, want %t", c.what, got, c.want)
		}
	}
}

// TestEventTestSaysWhatCameBack: each target's answer, and what to do about it.
func TestEventTestSaysWhatCameBack(t *testing.T) {
	t.Parallel()
	answer := func(status int, location string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if location != "" {
				w.Header().Set("Location", location)
			}
			w.WriteHeader(status)
		}))
		t.Cleanup(s.Close)
		return s.URL + "/hooks"
	}
	fine := answer(http.StatusNoContent, "")
	targets := []string{fine, answer(http.StatusFound, fine), answer(http.StatusUnauthorized, ""), answer(http.StatusGone, ""), "http://127.0.0.1:1/"}
	env := environ(freshDatabase(t), "SPAREKEY_EVENTS_TARGETS="+strings.Join(targets, ","), "SPAREKEY_EVENTS_ALLOW_PRIVATE=127.0.0.1")
	if _, stderr, code := sparekey(t, console{args: []string{"migrate"}, environ: env}); code != exitOK {
		t.Fatal(stderr)
	}
	out, _, code := sparekey(t, console{args: []string{"event", "test"}, environ: env})
	if code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	for _, want := range []string{
		"ok   " + fine + ": it took a test event and answered 204",
		"FAIL " + targets[1] + ": the target answered 302, and redirects are not followed",
		"hint: set the target in events.targets to where it redirects",
		"FAIL " + targets[2] + ": the target answered 401", "hint: does the application verify with the secret that sparekey event secrets prints",
		"FAIL " + targets[3] + ": the target answered 410", "hint: the application wants no more events",
		"FAIL http://127.0.0.1:1/: dial tcp 127.0.0.1:1: connect: connection refused", "hint: does the application listen there",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	out, _, code = sparekey(t, console{args: []string{"event", "test", "--target", fine, "--json"}, environ: env})
	if code != exitOK || !strings.Contains(out, `"ok": true`) || strings.Contains(out, `"ok": false`) {
		t.Errorf("of one target, exit code %d: %s", code, out)
	}
}
