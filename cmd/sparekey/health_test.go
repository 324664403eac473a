package main

import (
	"net"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

// TestHealth: it says what /readyz says, with TLS and without, and that nobody is there.
func TestHealth(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	certificate, key := authority.Good(t, "reset.example.com").Write(t, t.TempDir())
	smtp := smtptest.Start(t)
	for name, more := range map[string][]string{
		"HTTP": nil, "TLS": {"SPAREKEY_TLS_CERTIFICATE=" + certificate, "SPAREKEY_TLS_KEY=" + key},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := environ(append(more, freshDatabase(t), "SPAREKEY_LISTEN=127.0.0.1:0", "SPAREKEY_BASE_URL="+testBaseURL,
				"SPAREKEY_MAIL_SMTP="+smtp.URL(), "SPAREKEY_MAIL_FROM=noreply@example.com")...)
			p := start(t, env, "serve")
			address := served(t, p)
			ask := console{args: []string{"health", "--listen", address}, environ: env}
			if out, stderr, code := sparekey(t, ask); code != exitOK || out != "ready\n" {
				t.Errorf("ready: exit code %d: %s%s", code, out, stderr)
			}
			if code := p.end(t); code != exitOK {
				t.Errorf("serve ended with %d", code)
			}
			if out, stderr, code := sparekey(t, ask); code != exitFailed || out != "" || !strings.Contains(stderr, "hint: start it with: sparekey serve") {
				t.Errorf("gone: exit code %d: %s%s", code, out, stderr)
			}
		})
	}
	if _, stderr, code := sparekey(t, console{args: []string{"health", "--listen", ":0"}, environ: environ()}); code != exitUsage {
		t.Errorf("no port: exit code %d: %s", code, stderr)
	}
}

// TestHealthOfWhoIsNotReady: a service that says no, and one that says nothing, are not well.
func TestHealthOfWhoIsNotReady(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ answer, want string }{
		"silence":  {"", "error: nobody answers at "}, // the deadline
		"no":       {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 14\r\n\r\nshutting down\n", "error: it is not ready: shutting down (503)"},
		"nonsense": {"220 mail.example.com ESMTP\r\n", "error: nobody answers at "},
	} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request := make([]byte, 4<<10)
			_, _ = conn.Read(request)
			_, _ = conn.Write([]byte(tt.answer))
			if tt.answer == "" {
				_, _ = conn.Read(request) // returns when the caller gives up
			}
			_ = conn.Close()
		}()
		_, stderr, code := sparekey(t, console{args: []string{"health", "--listen", l.Addr().String()}, environ: environ()})
		if code != exitFailed || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
		_ = l.Close()
		<-done
	}
}

func TestNearby(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080",
		"127.0.0.1:8080": "127.0.0.1:8080", "10.0.0.11:80": "10.0.0.11:80", "[::1]:80": "[::1]:80", "host.example.com:80": "host.example.com:80",
	} {
		if got, err := nearby(listen); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", listen, got, err, want)
		}
	}
}
