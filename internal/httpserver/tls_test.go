package httpserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/httpserver"
	"github.com/sparekey/sparekey/internal/reset"
)

// TestTLS: with a certificate the listener speaks TLS, HTTP/1.1 and HTTP/2
// alike, and nothing else; it stops as it does without.
func TestTLS(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	pair := authority.Good(t, "reset.example.com", "127.0.0.1")
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	o := options(io.Discard)
	o.Secure, o.TLS = true, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	addr, stop := serve(t, o)
	for _, want := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: authority.Pool(), MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: want == "HTTP/2.0",
		}
		r, err := fetch(t, transport, http.MethodGet, "https://"+addr+"/api/x")
		if err != nil {
			t.Fatal(err)
		}
		if r.proto != want || r.body != "api /api/x" || r.header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: answered %+v", want, r)
		}
		if r, err := fetch(t, transport, http.MethodGet, "http://"+addr+"/api/x"); err == nil && r.status != http.StatusBadRequest {
			t.Errorf("HTTP without TLS is answered %+v", r)
		}
		transport.CloseIdleConnections()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

type fetched struct {
	status      int
	proto, body string
	header      http.Header
}

func fetch(t *testing.T, by http.RoundTripper, method, address string) (fetched, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := by.RoundTrip(req)
	if err != nil {
		return fetched{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return fetched{resp.StatusCode, resp.Proto, string(body), resp.Header}, err
}

// TestRedirect: people are sent to the configured address, whatever a request
// says of its host; programs and forms, which may carry secrets, are refused.
func TestRedirect(t *testing.T) {
	t.Parallel()
	refuse := func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, reset.AsError(err).Message, http.StatusBadRequest)
	}
	for _, tt := range []struct {
		base, method, target string
		want                 string // where to; empty for a refusal
	}{
		{"https://reset.example.com", "GET", "/", "https://reset.example.com/"},
		{"https://reset.example.com", "GET", "/forgot?locale=de", "https://reset.example.com/forgot?locale=de"},
		{"https://reset.example.com", "HEAD", "/forgot", "https://reset.example.com/forgot"},
		{"https://reset.example.com:8443", "GET", "/forgot", "https://reset.example.com:8443/forgot"},
		{"https://example.com/auth", "GET", "/auth/forgot", "https://example.com/auth/forgot"},
		{"https://example.com/auth", "GET", "/forgot", "https://example.com/auth/forgot"},
		{"https://example.com/auth", "GET", "/authors", "https://example.com/auth/authors"},
		{"https://reset.example.com", "GET", "http://evil.test/forgot", "https://reset.example.com/forgot"},
		{"https://reset.example.com", "GET", "//evil.test/", "https://reset.example.com//evil.test/"},
		{"https://reset.example.com", "GET", "http:@evil.test/", "https://reset.example.com"},
		{"https://reset.example.com", "GET", "/%0d%0aSet-Cookie:x=y", "https://reset.example.com/%0d%0aSet-Cookie:x=y"},
		{"https://reset.example.com", "GET", "/apis", "https://reset.example.com/apis"},
		{"https://reset.example.com", "GET", "/api/1.0/openapi.yaml", ""},
		{"https://reset.example.com", "GET", "/api", ""},
		{"https://example.com/auth", "GET", "/auth/api/1.0/job/status/x", ""},
		{"https://reset.example.com", "POST", "/forgot", ""},
		{"https://reset.example.com", "POST", "/api/1.0/reset-password/request", ""},
		{"https://reset.example.com", "DELETE", "/", ""},
	} {
		base, err := url.Parse(tt.base)
		if err != nil {
			t.Fatal(err)
		}
		addr, stop := redirect(t, httpserver.NewRedirect(func(*http.Request) *url.URL { return base }, refuse, slog.New(slog.DiscardHandler)))
		answer := raw(t, addr, tt.method+" "+tt.target+" HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-Host: evil.test\r\nConnection: close\r\n\r\n")
		status, location := "HTTP/1.1 301 Moved Permanently\r\n", "\r\nLocation: "+tt.want+"\r\n"
		if tt.want == "" {
			status, location = "HTTP/1.1 400 Bad Request\r\n", tt.base
		}
		if !strings.HasPrefix(answer, status) || !strings.Contains(answer, location) || !strings.Contains(answer, "\r\nCache-Control: no-store\r\n") {
			t.Errorf("%s, %s %s: answered %q, want %q with %q", tt.base, tt.method, tt.target, answer, status, location)
		}
		if strings.Contains(answer, "Strict-Transport-Security") { // RFC 6797, 7.2: not without TLS
			t.Errorf("%s %s: HSTS without TLS: %q", tt.method, tt.target, answer)
		}
		if tt.want == "" && strings.Contains(answer, "\r\nLocation:") {
			t.Errorf("%s %s: refused and sent on: %q", tt.method, tt.target, answer)
		}
		stop()
	}
}

func redirect(t *testing.T, s *httpserver.Redirect) (addr string, stop func()) {
	t.Helper()
	l := httptest.NewUnstartedServer(nil).Listener
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, context.Background(), l) }()
	return l.Addr().String(), func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
