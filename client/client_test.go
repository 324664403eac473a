package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key      = "spk_a-key"
	id       = "0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10"
	password = "correct horse battery staple"
)

// server starts a server that answers everything with h.
func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// newClient makes a client that pauses in no time.
func newClient(t *testing.T, base string, options ...client.Option) *client.Client {
	t.Helper()
	hc := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(hc.CloseIdleConnections)
	c, err := client.New(base, append([]client.Option{client.WithHTTPClient(hc), client.WithTimeout(5 * time.Second)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// every makes every call once.
func every(ctx context.Context, c *client.Client) map[string]error {
	_, request := c.Request(ctx, "ann@example.com")
	_, bulk := c.RequestBulk(ctx, "ann@example.com")
	_, metadata := c.Metadata(ctx, id)
	_, reset := c.Reset(ctx, id, password)
	_, job := c.Job(ctx, id)
	return map[string]error{"Request": request, "RequestBulk": bulk, "Metadata": metadata, "Reset": reset, "Job": job}
}

// TestWhatIsSent: method, path, headers and body of every call, below every form of a base URL.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"POST /reset-password/request":        `{"email":["ann@example.com"]}`,
		"POST /reset-password/request key":    `{"email":["ann@example.com"]}`,
		"GET /reset-password/metadata/ID key": "",
		"POST /reset-password/reset/ID key":   `{"password":"correct horse battery staple"}`,
		"GET /job/status/ID key":              "",
	}
	for name, form := range map[string]struct{ suffix, prefix string }{
		"the server": {"", ""}, "a slash at the end": {"/", ""}, "the API's base": {"/api/1.0", ""}, "the API's base and a slash": {"/api/1.0/", ""},
		"a prefix": {"/some/where", "/some/where"}, "a prefix, a slash and the API's base": {"/some/where/api/1.0", "/some/where"},
		"an escaped prefix": {"/a%2Fb%20c", "/a%2Fb%20c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan [2]string, 5)
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				line := r.Method + " " + strings.ReplaceAll(strings.TrimPrefix(r.URL.EscapedPath(), form.prefix+"/api/1.0"), id, "ID")
				if r.Header.Get("X-Auth-Token") == key {
					line += " key"
				}
				body, _ := io.ReadAll(r.Body)
				got <- [2]string{line, string(body)}
				answer(w, http.StatusTeapot, "{}")
			})
			every(t.Context(), newClient(t, s.URL+form.suffix, client.WithKey(key)))
			sent := map[string]string{}
			for range cap(got) {
				pair := <-got
				sent[pair[0]] = pair[1]
			}
			if diff := cmp.Diff(want, sent); diff != "" {
				t.Errorf("(-want +sent):\n%s", diff)
			}
		})
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Fatalf("this machine has no IPv6 loopback, which the test needs: %v", err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `{"email":["ann@example.com"]}`)
	}))
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	if _, err := newClient(t, s.URL).Request(t.Context(), "ann@example.com"); err != nil {
		t.Error(err)
	}
}

// TestKeyPrefix: a prefix stands in front of the key, whatever the order of the options.
func TestKeyPrefix(t *testing.T) {
	t.Parallel()
	var sent atomic.Value
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		sent.Store(r.Header.Get("X-Auth-Token"))
		answer(w, http.StatusOK, `{"id":"`+id+`","multiple_accounts":true}`)
	})
	m, err := newClient(t, s.URL, client.WithKeyPrefix("Token"), client.WithKey(key)).Metadata(t.Context(), id)
	if diff := cmp.Diff(client.Metadata{ID: id, MultipleAccounts: true}, m); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if sent.Load() != "Token "+key {
		t.Errorf("sent %q", sent.Load())
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 10<<10)
	for _, base := range []string{
		"", "reset.example.com", "ftp://reset.example.com", "https://", "https:reset.example.com", "https://ann:secret-word@reset.example.com",
		"https://reset.example.com?a=b", "https://reset.example.com?", "https://reset.example.com#top", "https://reset example.com", "https://secret-word.example.com:port",
		"https://reset.example.com/\nX: y",
	} {
		if _, err := client.New(base); !errors.Is(err, client.ErrBadArgument) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("the base URL %q: %v", base, err)
		}
	}
	for _, bad := range []string{"", "secret-word\n", "secret-word\r\nHost: evil.example.com", "secret word", "secret-wörd", "secret-word\x00", long} {
		for name, option := range map[string]client.Option{"key": client.WithKey(bad), "prefix": client.WithKeyPrefix(bad)} {
			if _, err := client.New("https://reset.example.com", option); !errors.Is(err, client.ErrBadArgument) || strings.Contains(err.Error(), "secret") || len(err.Error()) > 200 {
				t.Errorf("the %s %.40q: %v", name, bad, err)
			}
		}
	}
	for name, option := range map[string]client.Option{
		"no HTTP client": client.WithHTTPClient(nil), "no time": client.WithTimeout(0), "-1 retries": client.WithRetries(-1), "11 retries": client.WithRetries(11),
	} {
		if _, err := client.New("https://reset.example.com", option); !errors.Is(err, client.ErrBadArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// None of these may reach the server.
	s := server(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent: %s %s", r.Method, r.URL) })
	c := newClient(t, s.URL, client.WithKey(key))
	for _, bad := range []string{"", ".", "..", long} {
		_, metadata := c.Metadata(t.Context(), bad)
		_, reset := c.Reset(t.Context(), bad, password)
		_, job := c.Job(t.Context(), bad)
		for name, err := range map[string]error{"Metadata": metadata, "Reset": reset, "Job": job} {
			if !errors.Is(err, client.ErrBadArgument) {
				t.Errorf("%s(%.40q): %v", name, bad, err)
			}
		}
	}
	_, utf8 := c.Reset(t.Context(), id, "\xff secret-word")
	_, none := c.Request(t.Context())
	_, utf8Address := c.RequestBulk(t.Context(), "ann@example.com", "\xff@example.com")
	_, noKey := newClient(t, s.URL).RequestBulk(t.Context(), "ann@example.com")
	for name, err := range map[string]error{"a password in no UTF-8": utf8, "no address": none, "an address in no UTF-8": utf8Address, "bulk without a key": noKey} {
		if !errors.Is(err, client.ErrBadArgument) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOddIDs: whatever an id holds stays in its own segment of the path.
func TestOddIDs(t *testing.T) {
	t.Parallel()
	var path atomic.Value
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		path.Store(r.URL.EscapedPath())
		answer(w, http.StatusUnauthorized, `{"msg":"no","code":14}`)
	})
	c := newClient(t, s.URL)
	for odd, want := range map[string]string{
		"a/b": "a%2Fb", "../job": "..%2Fjob", "%2e%2e": "%252e%252e", "a\nb\r\n": "a%0Ab%0D%0A", "a?b#c": "a%3Fb%23c", "ä": "%C3%A4", "a b": "a%20b", "\x00": "%00",
	} {
		if _, err := c.Metadata(t.Context(), odd); !errors.Is(err, client.ErrNotAuthorized) {
			t.Errorf("%q: %v", odd, err)
		}
		if got := path.Load(); got != "/api/1.0/reset-password/metadata/"+want {
			t.Errorf("%q was sent as %s", odd, got)
		}
	}
}

// TestRefusals: an ErrorModel arrives whole, and stands for its code.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req-7")
		answer(w, http.StatusBadRequest, `{"msg":"too\nshort","code":10,"details":{"password":[{"code":"too_short","message":"at least 15"}]}}`)
	})
	_, err := newClient(t, s.URL, client.WithKey(key)).Reset(t.Context(), id, password)
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	want := &client.Error{
		Status: 400, Code: client.CodeBadParameter, Msg: "too\nshort", RequestID: "req-7",
		Details: map[string]json.RawMessage{"password": json.RawMessage(`[{"code":"too_short","message":"at least 15"}]`)},
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]client.Reason{{Code: "too_short", Message: "at least 15"}}, e.PasswordReasons()); diff != "" {
		t.Errorf("reasons:\n%s", diff)
	}
	if !errors.Is(err, client.ErrBadParameter) || errors.Is(err, client.ErrExpired) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if (&client.Error{}).PasswordReasons() != nil {
		t.Error("reasons without details")
	}
	if long := (&client.Error{Msg: strings.Repeat("ä", 10<<10)}).Error(); len(long) > 400 {
		t.Errorf("the message repeats %d bytes", len(long))
	}
}

// TestHostileServers: whatever answers, the error says what is wrong, in time, and holds no secret.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := server(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for name, h := range map[string]http.HandlerFunc{
		"a page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<h1>Welcome</h1>")
		},
		"a page as an error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<h1>no</h1>", http.StatusInternalServerError)
		},
		"JSON of no type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, `{"id":"`+id+`","email":[],"job_id":"x","multiple_accounts":false}`)
		},
		"nothing":       func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "") },
		"no JSON":       func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "}{") },
		"JSON and more": func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "{} {}") },
		"null":          func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "null") },
		"a list":        func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "[]") },
		"empty JSON":    func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "{}") },
		"wrong types": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, `{"id":7,"email":"x","job_id":[]}`)
		},
		"another id": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, `{"id":"x","multiple_accounts":false,"email":null}`)
		},
		"deep JSON":             func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, strings.Repeat("[", 100_000)) },
		"another success":       func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusCreated, `{"id":"`+id+`"}`) },
		"no content":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"a failure of no model": func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusBadRequest, `{"error":"no"}`) },
		"a code that is no code": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusBadRequest, `{"msg":"no","code":"x"}`)
		},
		"a megabyte and more": func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, `{"id":"`+strings.Repeat("x", 1<<20)+`"}`)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/api/1.0/", http.StatusTemporaryRedirect)
		},
		"a redirect to itself": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
		"a proxy's page":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, server(t, h).URL, client.WithKey(key), client.WithRetries(0))
			for call, err := range every(t.Context(), c) {
				if !errors.Is(err, client.ErrBadAnswer) {
					t.Errorf("%s: %v", call, err)
				}
				noSecret(t, err)
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.Load(); n != 0 {
			t.Errorf("%d calls followed a redirect", n)
		}
	})
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{key, id, password} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

// TestBrokenConnections: servers that hang, drip, or hang up half-way.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		send    string
		hang    bool // afterwards, instead of hanging up
		timeout bool // is what the error says
	}{
		"hangs":              {"", true, true},
		"hangs in the head":  {"HTTP/1.1 200 OK\r\nX-", true, true},
		"hangs in the body":  {head + "Content-Length: 100\r\n\r\n{\"id\":", true, true},
		"hangs up":           {"", false, false},
		"hangs up in a body": {head + "Content-Length: 100\r\n\r\n{\"id\":", false, false},
		"hangs up in chunks": {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"", false, false},
		"speaks no HTTP":     {"220 mail.example.com ESMTP\r\n", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := rawServer(t, c.send, c.hang)
			for call, err := range every(t.Context(), newClient(t, base, client.WithKey(key), client.WithRetries(0), client.WithTimeout(200*time.Millisecond))) {
				if err == nil || errors.Is(err, client.ErrBadAnswer) || c.timeout != errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v", call, err)
				}
				noSecret(t, err)
			}
		})
	}
}

// rawServer reads a request's head, sends these bytes, and hangs until the test ends, or hangs up.
func rawServer(t *testing.T, send string, hang bool) (base string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over, accepting := make(chan struct{}), make(chan struct{})
	serve := func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, send)
		if hang {
			<-over
		}
	}
	go func() {
		defer close(accepting)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	t.Cleanup(func() { close(over); _ = l.Close(); <-accepting })
	return "http://" + l.Addr().String()
}

// TestUnreachable: nobody listens; the call is tried again, since nothing was done.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	_ = l.Close()
	for call, err := range every(t.Context(), newClient(t, base, client.WithKey(key), client.WithRetries(0))) {
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Errorf("%s: %v", call, err)
		}
		noSecret(t, err)
	}
}
