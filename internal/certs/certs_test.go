package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/certs"
	"github.com/sparekey/sparekey/internal/certs/acmetest"
	"github.com/sparekey/sparekey/internal/certs/certtest"
)

// unending is what no test can end: see acmetest.
var unending = goleak.IgnoreTopFunction(acmetest.Unending)

// patient gives what autocert does in goroutines of its own the time to end, after the tests and
// before the check for leaks: an order that a test gave up is deactivated at the authority, which
// refuses a nonce now and then, on purpose, so that acme waits up to seconds to try again.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for range 15 {
		if goleak.Find(unending) == nil {
			break
		}
	}
	return code
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(patient{m}, unending)
}

// journal is a log that can be read, and waited for.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newJournal() *journal { return &journal{changed: make(chan struct{})} }

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.changed)
	j.changed = make(chan struct{})
	return j.text.Write(p)
}

func (j *journal) log() *slog.Logger { return slog.New(slog.NewJSONHandler(j, nil)) }

// events are those told so far; of each line its event, error and hint.
func (j *journal) events(t *testing.T) (events []event, changed <-chan struct{}) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events, j.changed
}

type event struct{ Event, Error, Hint, Level string }

// waitFor waits for the nth event of that name, counting from 1.
func (j *journal) waitFor(t *testing.T, name string, n int) event {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		events, changed := j.events(t)
		count := 0
		for _, e := range events {
			if e.Event == name {
				if count++; count == n {
					return e
				}
			}
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("no event %s, number %d, in %+v", name, n, events)
		}
	}
}

// speak serves TLS that repeats what it is sent, until the test ends.
func speak(t *testing.T, l net.Listener, config *tls.Config) (address string) {
	t.Helper()
	l = tls.NewListener(l, config)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// dial shakes hands and sees that something sent comes back.
func dial(t *testing.T, address string, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	conn, err := (&tls.Dialer{Config: config, NetDialer: &net.Dialer{Timeout: 10 * time.Second}}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	c, ok := conn.(*tls.Conn)
	if !ok {
		t.Fatal("no TLS")
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, echo(c)
}

func echo(c net.Conn) error {
	got := make([]byte, 5)
	_, err := c.Write([]byte("hello"))
	if err == nil {
		_, err = io.ReadFull(c, got)
	}
	return err
}

func parse(t *testing.T, p certtest.Pair) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(p.Certificate)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func openFiles(t *testing.T, j *journal, p certtest.Pair) (f *certs.Files, dir string) {
	t.Helper()
	dir = t.TempDir()
	certificate, key := p.Write(t, dir)
	f, err := certs.OpenFiles(certs.FilesOptions{
		Certificate: certificate, Key: key, Host: "reset.example.com", Now: time.Now, Log: j.log(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, dir
}

// watch follows until the returned function, or the test's end.
func watch(t *testing.T, w interface {
	Watch(ctx context.Context, reload <-chan os.Signal)
}, reload <-chan os.Signal,
) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Watch(ctx, reload)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// TestHandshakes: versions from 1.2 on are spoken, and a client that asked for another name turns away.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	f, _ := openFiles(t, newJournal(), authority.Good(t, "reset.example.com"))
	address := speak(t, listen(t), f.TLSConfig())
	for _, tt := range []struct {
		version uint16
		ok      bool
	}{{tls.VersionTLS10, false}, {tls.VersionTLS11, false}, {tls.VersionTLS12, true}, {tls.VersionTLS13, true}} {
		c, err := dial(t, address, &tls.Config{
			RootCAs: authority.Pool(), ServerName: "reset.example.com", MinVersion: tt.version, MaxVersion: tt.version,
		})
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tls.VersionName(tt.version), err)
		}
		if err == nil && c.ConnectionState().Version != tt.version {
			t.Errorf("%s was asked for, %s is spoken", tls.VersionName(tt.version), tls.VersionName(c.ConnectionState().Version))
		}
	}
	_, err := dial(t, address, &tls.Config{RootCAs: authority.Pool(), ServerName: "other.example.com", MinVersion: tls.VersionTLS12})
	if _, ok := errors.AsType[x509.HostnameError](err); !ok {
		t.Errorf("asked for another name: %v, want a refusal of the name", err)
	}
	_, err = dial(t, address, &tls.Config{RootCAs: certtest.New(t).Pool(), ServerName: "reset.example.com", MinVersion: tls.VersionTLS12})
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("another authority: %v, want a refusal of the authority", err)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	now := time.Now()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name     string
		from, to time.Duration // from now
		host     string
		want     string // the events
	}{
		{"good", -day, 60 * day, "reset.example.com", ""},
		{"good, whoever asks", -day, 60 * day, "", ""},
		{"another name", -day, 60 * day, "www.example.com", "tls.other_name"},
		{"another address", -day, 60 * day, "192.0.2.2", "tls.other_name"},
		{"its address", -day, 60 * day, "192.0.2.1", ""},
		{"expired", -90 * day, -time.Minute, "reset.example.com", "tls.expired"},
		{"expired, and another's", -90 * day, -time.Minute, "www.example.com", "tls.expired tls.other_name"},
		{"two weeks left", -76 * day, 14*day + time.Minute, "reset.example.com", ""},
		{"less than two weeks left", -76 * day, 14*day - time.Minute, "reset.example.com", "tls.expires_soon"},
		{"one of a few days, young", -time.Hour, 6 * day, "reset.example.com", ""},
		{"one of a few days, old", -5 * day, day, "reset.example.com", "tls.expires_soon"},
		{"not yet", time.Hour, 60 * day, "reset.example.com", "tls.not_yet_valid"},
	} {
		leaf := parse(t, authority.Issue(t, now.Add(tt.from), now.Add(tt.to), "reset.example.com", "192.0.2.1"))
		var got []string
		for _, p := range certs.Problems(leaf, tt.host, now) {
			got = append(got, p.Event)
			if p.Text == "" || p.Hint == "" {
				t.Errorf("%s: %+v says too little", tt.name, p)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
