package webhook_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/webhook"
)

// TestReceiversVerify: whoever knows one of the keys verifies, in the way of the
// specification's own library; with a byte changed, nobody does.
func TestReceiversVerify(t *testing.T) {
	t.Parallel()
	r := receive(t, nil).plain()
	target := r.URL + "/hooks?t0ken=x"
	s := sender(t, target, webhook.Options{
		AllowPrivate: loopback, Targets: []webhook.Target{{URL: target, Keys: [][]byte{key, oldKey}}},
	})
	e := passwordReset(t)
	for range 2 { // a second attempt is the same event
		if status, err := s.Send(t.Context(), target, e); err != nil || status != http.StatusNoContent {
			t.Fatalf("%d, %v", status, err)
		}
	}
	calls := r.took()
	if len(calls) != 2 || string(calls[0].body) != string(calls[1].body) {
		t.Fatalf("%d calls, want two with one body: %s", len(calls), calls)
	}
	for _, c := range calls {
		if c.header.Get("webhook-id") != e.ID || c.header.Get("Content-Type") != "application/json" || c.header.Get("User-Agent") != "Sparekey" {
			t.Errorf("headers: %v", c.header)
		}
		for secret, want := range map[string]error{
			callout.FormatSecret(key): nil, callout.FormatSecret(oldKey): nil,
			callout.FormatSecret([]byte("a key that nobody has told of...")): standardwebhooks.ErrNoMatchingSignature,
		} {
			hook, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := hook.Verify(c.body, c.header); !errors.Is(err, want) {
				t.Errorf("verifying with %s: %v, want %v", secret, err, want)
			}
			if err := hook.Verify(append([]byte(" "), c.body...), c.header); err == nil {
				t.Error("a changed body verifies")
			}
			other := c.header.Clone()
			other.Set("webhook-id", reset.NewEventID())
			if err := hook.Verify(c.body, other); err == nil {
				t.Error("a changed id verifies")
			}
		}
	}
}

// TestOldEventsAreSignedNow: receivers refuse signatures that are minutes old, and an event may be a day old.
func TestOldEventsAreSignedNow(t *testing.T) {
	t.Parallel()
	r := receive(t, nil).plain()
	now := time.Now()
	s := sender(t, r.URL, webhook.Options{AllowPrivate: loopback, Now: func() time.Time { return now }})
	e := passwordReset(t)
	e.At = now.Add(-20 * time.Hour)
	if err := s.SendEvent(t.Context(), r.URL, e); err != nil {
		t.Fatal(err)
	}
	c := r.took()[0]
	hook, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Verify(c.body, c.header); err != nil {
		t.Error(err)
	}
	if want := e.At.UTC().Format("2006-01-02T15:04"); !strings.Contains(string(c.body), want) {
		t.Errorf("the body does not have the time of the event, %s: %s", want, c.body)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status     int
		retryAfter string
		problem    string // empty: delivered
		unwanted   bool
		after      time.Duration
	}{
		{status: 200},
		{status: 202},
		{status: 204},
		{status: 299},
		{status: 301, problem: "redirects are not followed"},
		{status: 400, problem: "answered 400"},
		{status: 401, problem: "answered 401"},
		{status: 404, problem: "answered 404"},
		{status: 410, problem: "answered 410", unwanted: true},
		{status: 429, problem: "answered 429"},
		{status: 429, retryAfter: "120", problem: "answered 429", after: 2 * time.Minute},
		{status: 503, retryAfter: "99999999", problem: "answered 503", after: 365 * 24 * time.Hour},
		{status: 503, retryAfter: "Mon, 23 Nov 2026 12:00:30 GMT", problem: "answered 503", after: 30 * time.Second},
		{status: 503, retryAfter: "Mon, 23 Nov 2026 11:00:00 GMT", problem: "answered 503"},
		{status: 503, retryAfter: "-5", problem: "answered 503"},
		{status: 503, retryAfter: "soon", problem: "answered 503"},
		{status: 500, retryAfter: "120", problem: "answered 500"},
		{status: 599, problem: "answered 599"},
	} {
		t.Run(fmt.Sprint(c.status, " ", c.retryAfter), func(t *testing.T) {
			t.Parallel()
			r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.retryAfter != "" {
					w.Header().Set("Retry-After", c.retryAfter)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, "canary")
			}).plain()
			now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
			target := r.URL + "/hooks"
			s := sender(t, target, webhook.Options{AllowPrivate: loopback, Now: func() time.Time { return now }})
			err := s.SendEvent(t.Context(), target, passwordReset(t))
			if c.problem == "" {
				if err != nil {
					t.Errorf("it was not delivered: %v", err)
				}
				return
			}
			fault(t, "the answer", err, c.problem)
			if _, unwanted := errors.AsType[*reset.Unwanted](err); unwanted != c.unwanted {
				t.Errorf("unwanted: %t", unwanted)
			}
			p, postponed := errors.AsType[*reset.Postponed](err)
			if postponed != (c.after > 0) || postponed && p.After != c.after {
				t.Errorf("postponed: %+v, want by %v", p, c.after)
			}
		})
	}
}

// TestRedirectsAreNotFollowed, whatever the status says, to wherever they lead.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := receive(t, nil).plain()
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL+"/hooks")
			w.WriteHeader(status)
		}).plain()
		err := sender(t, r.URL, webhook.Options{AllowPrivate: loopback}).SendEvent(t.Context(), r.URL, passwordReset(t))
		fault(t, fmt.Sprint(status), err, "redirects are not followed")
	}
	if n := len(elsewhere.took()); n != 0 {
		t.Errorf("where the redirects lead was called %d times", n)
	}
}

// raw is a target that speaks for itself on each connection.
func raw(t *testing.T, speak func(net.Conn)) (target string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				speak(conn)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String() + "/hooks"
}

// TestHostileAnswers: none is waited for beyond the deadline, and none is kept.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	forever := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			for {
				n, err := io.WriteString(c, text)
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		}
	}
	for _, c := range []struct {
		name    string
		speak   func(net.Conn)
		problem string
	}{
		{"silent", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "did not answer within"},
		{"one byte at a time", func(c net.Conn) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := io.WriteString(c, "H"); err != nil {
					return
				}
				<-tick.C
			}
		}, "did not answer within"},
		{"a header at a time", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := io.WriteString(c, "X-Canary: canary\r\n"); err != nil {
					return
				}
				<-tick.C
			}
		}, "did not answer within"},
		{"headers without end", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			forever("X-Canary: " + strings.Repeat("canary", 1000) + "\r\n")(c)
		}, "is no HTTP, too long, or broke off"},
		{"one line without end", forever("HTTP/1.1 200 canary"), "is no HTTP, too long, or broke off"},
		{"no HTTP", func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-canary\r\n") }, "is no HTTP, too long, or broke off"},
		{"hung up", func(net.Conn) {}, "is no HTTP, too long, or broke off"},
		{"an interim answer without end", forever("HTTP/1.1 103 Early Hints\r\nX-Canary: canary\r\n\r\n"), "is no HTTP, too long, or broke off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := raw(t, c.speak)
			s := sender(t, target, webhook.Options{AllowPrivate: loopback, Timeout: 300 * time.Millisecond})
			start := time.Now()
			err := s.SendEvent(t.Context(), target, passwordReset(t))
			fault(t, c.name, err, c.problem)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	t.Run("a body without end", func(t *testing.T) {
		t.Parallel()
		var body atomic.Int64
		ended := make(chan struct{})
		target := raw(t, func(c net.Conn) {
			defer close(ended)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
			for {
				n, err := io.WriteString(c, strings.Repeat("x", 64<<10))
				body.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		if err := sender(t, target, webhook.Options{AllowPrivate: loopback}).SendEvent(t.Context(), target, passwordReset(t)); err != nil {
			t.Error(err)
		}
		<-ended // the connection was ended
		if n := body.Load(); n > 32<<20 {
			t.Errorf("%d bytes of the body were taken", n)
		}
	})
}

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	r, roots := receive(t, nil).withTLS()
	dns := &names{answers: map[string][][]string{"example.com": {{"127.0.0.1"}}, "example.test": {{"127.0.0.1"}}}}
	resolver := dns.resolver(t)
	for _, c := range []struct {
		name, host, problem string
		o                   webhook.Options
	}{
		{"good", "example.com", "", webhook.Options{Roots: roots}},
		{"of another host", "example.test", "certificate is not good", webhook.Options{Roots: roots}},
		{"by nobody", "example.com", "certificate is not good", webhook.Options{}},
	} {
		target := "https://" + c.host + ":" + r.port() + "/hooks"
		c.o.AllowPrivate, c.o.Resolver = loopback, resolver
		err := sender(t, target, c.o).SendEvent(t.Context(), target, passwordReset(t))
		if c.problem == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		fault(t, c.name, err, c.problem)
	}
	if n := len(r.took()); n != 1 {
		t.Errorf("%d events arrived, want 1", n)
	}
}

// TestProxiesOfTheEnvironmentAreIgnored: a proxy would make the connections instead, unchecked. TestMain names some.
func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	t.Parallel()
	r, roots := receive(t, nil).withTLS()
	dns := &names{answers: map[string][][]string{"example.com": {{"127.0.0.1"}}}}
	target := "https://example.com:" + r.port() + "/hooks"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if proxy, err := http.ProxyFromEnvironment(req); err != nil || proxy == nil {
		t.Fatalf("the environment names no proxy for it, so this shows nothing: %v, %v", proxy, err)
	}
	s := sender(t, target, webhook.Options{AllowPrivate: loopback, Resolver: dns.resolver(t), Roots: roots})
	if err := s.SendEvent(t.Context(), target, passwordReset(t)); err != nil {
		t.Error(err)
	}
}

// TestUnknownTargets: what is configured no more is told nothing.
func TestUnknownTargets(t *testing.T) {
	t.Parallel()
	r := receive(t, nil).plain()
	s := sender(t, r.URL+"/a", webhook.Options{AllowPrivate: loopback})
	err := s.SendEvent(t.Context(), r.URL+"/b", passwordReset(t))
	if _, unwanted := errors.AsType[*reset.Unwanted](err); !unwanted || len(r.took()) != 0 {
		t.Errorf("got %v after %d calls", err, len(r.took()))
	}
}
