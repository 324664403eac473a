package mail

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
	"github.com/sparekey/sparekey/internal/reset"
)

func TestAServerURLSettlesPortAndSecurity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url      string
		address  string
		security security
	}{
		{"smtp://mail.example.com", "mail.example.com:587", tlsDemanded},
		{"smtp://mail.example.com/", "mail.example.com:587", tlsDemanded},
		{"SMTP://mail.example.com:25", "mail.example.com:25", tlsDemanded},
		{"smtp://mail.example.com?tls=none", "mail.example.com:587", tlsNone},
		{"smtps://mail.example.com", "mail.example.com:465", tlsImplicit},
		{"smtps://mail.example.com:4650", "mail.example.com:4650", tlsImplicit},
		{"smtps://127.0.0.1", "127.0.0.1:465", tlsImplicit},
		{"smtp://127.0.0.1:25", "127.0.0.1:25", tlsOffered},
		{"smtp://127.1.2.3", "127.1.2.3:587", tlsOffered},
		{"smtp://[::1]:1025", "[::1]:1025", tlsOffered},
		{"smtp://[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]:587", tlsOffered},
		{"smtp://LocalHost", "LocalHost:587", tlsOffered},
		{"smtp://127.0.0.1?tls=none", "127.0.0.1:587", tlsNone},
		{"smtp://localhost.example.com", "localhost.example.com:587", tlsDemanded},
		{"smtp://127.0.0.1.example.com", "127.0.0.1.example.com:587", tlsDemanded},
		{"smtp://10.0.0.1", "10.0.0.1:587", tlsDemanded},
		{"smtp://user:secret@mail.example.com", "mail.example.com:587", tlsDemanded},
	} {
		t.Run(c.url, func(t *testing.T) {
			t.Parallel()
			s, err := ParseServer(c.url)
			if err != nil {
				t.Fatal(err)
			}
			if s.address() != c.address || s.security != c.security {
				t.Errorf("got %s, security %d; want %s, %d", s.address(), s.security, c.address, c.security)
			}
		})
	}
}

func TestAWrongServerURLIsRefusedWithAdvice(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, advice string }{
		{"", "smtp://"},
		{"mail.example.com", "smtp://"},
		{"mail.example.com:587", "smtp"},
		{"http://mail.example.com", "smtp:// (STARTTLS) or smtps://"},
		{"smtp:", "no host"},
		{"smtp://", "no host"},
		{"smtps://:465", "no host"},
		{"smtp://mail.example.com:0", "1 to 65535"},
		{"smtp://mail.example.com:65536", "1 to 65535"},
		{"smtp://mail.example.com:x", "not a URL"},
		{"smtp://mail.example.com/inbox", "end after the host"},
		{"smtp://mail.example.com#x", "end after the host"},
		{"smtp://mail.example.com?tls=off", "takes one value, none"},
		{"smtp://mail.example.com?tls=none&tls=none", "twice"},
		{"smtps://mail.example.com?tls=none", "smtp:// only"},
		{"smtp://mail.example.com?verify=false", "tls=none and ca=FILE"},
		{"smtp://mail.example.com?a=%zz", "not well formed"},
		{"smtp://mail.example.com?ca=/nowhere/ca.pem", "cannot be read"},
		{"smtp://mail.example.com?ca=" + empty, "no certificate"},
		{"smtp://user@mail.example.com", "both a user and a password"},
		{"smtp://:hunter2@mail.example.com", "both a user and a password"},
		{"smtp://user:@mail.example.com", "both a user and a password"},
		{"smtp://user:hun%00ter2@mail.example.com", "NUL"},
		{"smtp://user:hunter2@mail.example.com?tls=none", "in the clear"},
		{"smtp://user:hunter2@@mail/x y", ""},
		{"smtp://user:hunter2%@mail.example.com", "%25"},
	} {
		t.Run(c.url, func(t *testing.T) {
			t.Parallel()
			_, err := ParseServer(c.url)
			e := reset.AsError(err)
			if err == nil || e.Kind != reset.Invalid {
				t.Fatalf("got %v, want an Invalid error", err)
			}
			if !strings.Contains(e.Message, c.advice) {
				t.Errorf("%q does not say %q", e.Message, c.advice)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error tells the password")
			}
		})
	}
}

func TestTheLoginIsPercentDecoded(t *testing.T) {
	t.Parallel()
	s, err := ParseServer("smtp://bot%40example.com:p%40ss%3Aw%2Ford%25@mail.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if !s.auth || s.user != "bot@example.com" || s.password != "p@ss:w/ord%" {
		t.Errorf("got user %q, password %q", s.user, s.password)
	}
}

func TestAServerNeverPrintsItsPassword(t *testing.T) {
	t.Parallel()
	s, err := ParseServer("smtps://bot%40example.com:hunter2@mail.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), "smtps://bot%40example.com:[redacted]@mail.example.com:465"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, s); strings.Contains(text, "hunter2") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	var line strings.Builder
	slog.New(slog.NewTextHandler(&line, nil)).Info("x", "server", s)
	if text := line.String(); strings.Contains(text, "hunter2") || strings.Contains(text, "bot") || !strings.Contains(text, "mail.example.com:465") {
		t.Errorf("the log line is %s", text)
	}
}

func TestOptionsAreShown(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t, smtptest.WithSTARTTLS())
	s, err := ParseServer("smtp://127.0.0.1?tls=none&ca=" + url.QueryEscape(server.CAFile))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), "smtp://127.0.0.1:587?tls=none&ca="+server.CAFile; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAnyLoginSurvivesTheURL(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[^\x00]{1,30}`)
		user, password := text.Draw(t, "user"), text.Draw(t, "password")
		u := url.URL{Scheme: "smtps", Host: "mail.example.com", User: url.UserPassword(user, password)}
		s, err := ParseServer(u.String())
		if err != nil {
			t.Fatal(err)
		}
		if s.user != user || s.password != password {
			t.Fatalf("got %q and %q", s.user, s.password)
		}
	})
}

func FuzzParseServer(f *testing.F) {
	for _, seed := range []string{
		"smtp://user:p%40ss@mail.example.com:587?tls=none", "smtps://[::1]", "smtp://127.0.0.1?ca=", "smtp://%", "smtp://a:b@c?tls=none&x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseServer(text)
		if err != nil {
			if e := reset.AsError(err); e.Kind != reset.Invalid || e.Message == "" {
				t.Errorf("%v is not an Invalid error with a message", err)
			}
			return
		}
		if s.host == "" || s.port == "" {
			t.Errorf("a server without host or port: %v", s)
		}
		if s.auth && s.security == tlsNone && !isLoopback(s.host) {
			t.Errorf("%v would log in unencrypted", s)
		}
		if len(s.password) > 8 && strings.Contains(s.String(), s.password) && !strings.Contains(s.user+s.host+s.caFile, s.password) {
			t.Errorf("%v shows its password", s)
		}
	})
}
