package httpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/httpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

type requestID struct{}

// options serve handlers that answer their own name and the path they saw.
func options(log io.Writer) httpserver.Options {
	named := func(name string) httpserver.Surface {
		return httpserver.Surface{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, name+" "+r.URL.Path)
			}),
			Refuse: func(w http.ResponseWriter, _ *http.Request, _ error) {
				http.Error(w, name+" is full", http.StatusServiceUnavailable)
			},
		}
	}
	return httpserver.Options{
		API: named("api"), Pages: named("pages"), MaxInFlight: 10,
		Ready: func(context.Context) error { return nil },
		WithRequestID: func(ctx context.Context, id string) context.Context {
			return context.WithValue(ctx, requestID{}, id)
		},
		Now: time.Now,
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	o := options(io.Discard)
	o.BasePath = "/auth"
	h := httpserver.New(o).Handler()
	for path, want := range map[string]string{
		"/api/1.0/x":      "api /api/1.0/x",
		"/api":            "api /api",
		"/apis":           "pages /apis",
		"/forgot":         "pages /forgot",
		"/dev/mail":       "pages /dev/mail", // there is no dev handler here
		"/auth/api/1.0/x": "api /api/1.0/x",
		"/auth/forgot":    "pages /forgot",
		"/authors":        "pages /authors",
		"/healthz":        "ok\n",
		"/auth/readyz":    "ready\n",
	} {
		if got := get(t, h, path).Body.String(); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	o := options(io.Discard)
	o.Ready = func(context.Context) error { return errors.New("secret detail") }
	h := httpserver.New(o).Handler()
	w := get(t, h, "/readyz")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("not ready: %d %v %q", w.Code, w.Header(), w.Body)
	}
	if w := get(t, h, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("alive but not ready: /healthz answers %d, want 200", w.Code)
	}
}

// TestHSTS: every answer keeps browsers to https, whoever gives it, where people come by https.
func TestHSTS(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		o := options(io.Discard)
		o.Secure, o.BasePath = secure, "/auth"
		o.API.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/api/404":
				http.NotFound(w, r)
			case "/api/panic":
				panic("by the test")
			}
		})
		full := o
		full.MaxInFlight = 0
		want := map[bool]string{true: "max-age=31536000"}[secure]
		for name, h := range map[string]http.Handler{"working": httpserver.New(o).Handler(), "full": httpserver.New(full).Handler()} {
			for _, path := range []string{"/", "/forgot", "/api/1.0/x", "/api/404", "/api/panic", "/auth/api/404", "/healthz", "/readyz"} {
				w := httptest.NewRecorder()
				func() {
					defer func() { _ = recover() }() // what a panic ends with, once it is answered
					h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
				}()
				if got := w.Header().Get("Strict-Transport-Security"); got != want {
					t.Errorf("secure %t, %s, %s: %d with HSTS %q, want %q", secure, name, path, w.Code, got, want)
				}
			}
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	o := options(io.Discard)
	var inside any
	o.Pages.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = r.Context().Value(requestID{}) })
	h := httpserver.New(o).Handler()
	first, second := get(t, h, "/").Header().Get("X-Request-Id"), get(t, h, "/").Header().Get("X-Request-Id")
	if len(first) != 16 || first == second || inside != second {
		t.Errorf("request ids %q and %q, the handler saw %v", first, second, inside)
	}
}

func TestPathsInLogsHoldNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "5b1f3a52-7f0c-4b44-9a3e-0d8f4f1c2a11"
	var log buffer
	h := httpserver.New(options(&log)).Handler()
	for _, path := range []string{
		"/reset/" + secret, "/reset/" + strings.ToUpper(secret), "/reset/%7B" + secret + "%7D",
		"/api/1.0/reset-password/metadata/" + secret, "/a/b/c/d/e/f/g/h/i/" + secret, "/" + secret,
	} {
		get(t, h, path)
	}
	if strings.Contains(strings.ToLower(log.String()), secret) || !strings.Contains(log.String(), "/api/1.0/reset-password/metadata/…") {
		t.Errorf("the log:\n%s", log.String())
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	var log buffer
	o := options(&log)
	o.Pages.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("by the test") })
	s := httptest.NewServer(httpserver.New(o).Handler())
	defer s.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Client().Do(req)
	if err == nil {
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusInternalServerError || strings.Contains(string(body), "by the test") {
			t.Errorf("answered %d %q", res.StatusCode, body)
		}
	}
	if !strings.Contains(log.String(), "by the test") {
		t.Error("the panic is not in the log")
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	o := options(io.Discard)
	o.MaxInFlight = 2
	entered, release := make(chan struct{}), make(chan struct{})
	o.Pages.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	})
	h := httpserver.New(o).Handler()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { get(t, h, "/") })
		<-entered
	}
	if w := get(t, h, "/"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "pages is full") {
		t.Errorf("a third page: %d %q", w.Code, w.Body)
	}
	if w := get(t, h, "/api/1.0/x"); !strings.Contains(w.Body.String(), "api is full") {
		t.Errorf("the API: %d %q", w.Code, w.Body)
	}
	if w := get(t, h, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("/healthz while full: %d, want 200", w.Code)
	}
	close(release)
	wg.Wait()
	go func() { <-entered }()
	if w := get(t, h, "/"); w.Code != http.StatusOK {
		t.Errorf("after they were done: %d", w.Code)
	}
}

func serve(t *testing.T, o httpserver.Options) (addr string, stop func() error) {
	t.Helper()
	return serveUntil(context.WithoutCancel(t.Context()), t, o)
}

// serveUntil cuts off what is under way when grace ends.
func serveUntil(grace context.Context, t *testing.T, o httpserver.Options) (addr string, stop func() error) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(grace, t, httpserver.New(o), l)
}

// serveOn serves until the test ends.
func serveOn(grace context.Context, t *testing.T, s *httpserver.Server, l net.Listener) (addr string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, grace, l) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return l.Addr().String(), stop
}

// TestShutdownFinishes: a request that is under way when the server is told to stop gets its answer.
func TestShutdownFinishes(t *testing.T) {
	t.Parallel()
	o := options(io.Discard)
	entered, release := make(chan struct{}), make(chan struct{})
	o.Pages.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "finished")
	})
	addr, stop := serve(t, o)
	answered := make(chan string, 1)
	go func() { answered <- raw(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") }()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(release)
	if got := <-answered; !strings.HasSuffix(got, "finished") {
		t.Errorf("answered %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestShutdownDelay: a server that is told to stop goes on serving for the delay,
// says that it is not ready, and ends each connection with its answer.
func TestShutdownDelay(t *testing.T) {
	t.Parallel()
	o := options(io.Discard)
	o.Delay = time.Hour
	grace, end := context.WithCancel(context.WithoutCancel(t.Context()))
	addr, stop := serveUntil(grace, t, o)
	idle, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = idle.Close() })
	ask := func(conn net.Conn, path string) string {
		if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		return fmt.Sprint(answer.StatusCode, " close=", answer.Close)
	}
	if got := ask(idle, "/healthz"); got != "200 close=false" {
		t.Errorf("before: %s", got)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until it has heard
		if w := raw(t, addr, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); strings.HasPrefix(w, "HTTP/1.1 503 ") {
			break
		}
	}
	if got := ask(idle, "/"); got != "200 close=true" {
		t.Errorf("on a connection from before: %s", got)
	}
	if w := raw(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(w, "HTTP/1.1 200 ") {
		t.Errorf("on a new connection: %q", w)
	}
	end() // rather than the delay, which nobody waits for here
	if err := <-stopped; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Serve: %v", err)
	}
}

// TestShutdownCutsOff: what is still under way when the grace is over gets no
// answer, and whoever told the server to stop hears why.
func TestShutdownCutsOff(t *testing.T) {
	t.Parallel()
	o := options(io.Discard)
	entered, release := make(chan struct{}), make(chan struct{})
	o.Pages.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	})
	over := errors.New("the grace is over")
	grace, end := context.WithCancelCause(context.WithoutCancel(t.Context()))
	addr, stop := serveUntil(grace, t, o)
	answered := make(chan string, 1)
	go func() { answered <- raw(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
	<-entered
	end(over)
	if err := stop(); !errors.Is(err, over) {
		t.Errorf("Serve: %v, want %v", err, over)
	}
	if got := <-answered; got != "" {
		t.Errorf("answered %q", got)
	}
	close(release)
}

// raw sends bytes as they are and returns the answer.
func raw(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		return ""
	}
	answer, _ := io.ReadAll(bufio.NewReader(c))
	return string(answer)
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, options(io.Discard))
	for name, request := range map[string]string{
		"1,000 headers":    "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Filler: abcdefghijklmnopqrstuvwxyz\r\n", 1000) + "\r\n",
		"a long request":   "GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"two Host headers": "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	} {
		if got := raw(t, addr, request); !strings.HasPrefix(got, "HTTP/1.1 4") {
			t.Errorf("%s: answered %.60q, want a 4xx", name, got)
		}
	}
}

// TestDrippingHeadersAreCutOff: who sends headers byte by byte holds a
// connection for a bounded time, however steadily they drip (Slowloris).
func TestDrippingHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httpserver.New(options(io.Discard))
	s.SetReadTimeout(200 * time.Millisecond)
	addr, _ := serveOn(context.WithoutCancel(t.Context()), t, s, l)
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(c)
		over <- err
	}()
	drops := time.NewTicker(20 * time.Millisecond)
	defer drops.Stop()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	for {
		select {
		case <-drops.C:
			_, _ = io.WriteString(c, "a") // fails once it is cut off
		case err := <-over:
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it was never cut off")
			}
			return
		}
	}
}

func TestClientOf(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		trusted    []netip.Prefix
		want       string
	}{
		{"direct", "192.0.2.7:1234", nil, nil, "192.0.2.7"},
		{"nobody is trusted", "192.0.2.7:1234", []string{"198.51.100.1"}, nil, "192.0.2.7"},
		{"an untrusted client's claim", "192.0.2.7:1234", []string{"198.51.100.1"}, proxies, "192.0.2.7"},
		{"behind a proxy", "10.0.0.1:1234", []string{"198.51.100.1"}, proxies, "198.51.100.1"},
		{"behind two", "10.0.0.1:1234", []string{"198.51.100.1, 10.9.9.9"}, proxies, "198.51.100.1"},
		{"in two headers", "10.0.0.1:1234", []string{"198.51.100.1", "10.9.9.9"}, proxies, "198.51.100.1"},
		{"a forged entry further left", "10.0.0.1:1234", []string{"203.0.113.5, 198.51.100.1"}, proxies, "198.51.100.1"},
		{"a hundred entries of nobody's proxy", "192.0.2.7:1234", []string{strings.Repeat("203.0.113.5, ", 99) + "10.0.0.1"}, proxies, "192.0.2.7"},
		{"a hundred forged entries", "10.0.0.1:1234", []string{strings.Repeat("203.0.113.5, ", 100) + "198.51.100.1"}, proxies, "198.51.100.1"},
		{"nothing forwarded", "10.0.0.1:1234", nil, proxies, "10.0.0.1"},
		{"rubbish forwarded", "10.0.0.1:1234", []string{"for=unknown"}, proxies, "10.0.0.1"},
		{"IPv6 is its /64", "[2001:db8:2:3:4:5:6:7]:1234", nil, nil, "2001:db8:2:3::/64"},
		{"another of that /64", "[2001:db8:2:3:ffff::1]:1234", nil, nil, "2001:db8:2:3::/64"},
		{"IPv6 behind a proxy", "[2001:db8:1::1]:1234", []string{"2001:db8:2:3::9"}, proxies, "2001:db8:2:3::/64"},
		{"IPv4 in IPv6", "[::ffff:192.0.2.7]:1234", nil, nil, "192.0.2.7"},
		{"a proxy's IPv4 in IPv6", "[::ffff:10.0.0.1]:1234", []string{"::ffff:198.51.100.1"}, proxies, "198.51.100.1"},
		{"a zone", "[fe80::1%eth0]:1234", nil, nil, "fe80::/64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			r.Header["X-Forwarded-For"] = c.forwarded
			if got := httpserver.ClientOf(c.trusted)(r); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
