package webhook_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
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
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/webhook"
)

// TestMain names proxies where nobody is, so that whoever asked the environment for one would reach nothing.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		if err := os.Setenv(name, "http://127.0.0.1:1"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	key      = []byte("a key of thirty-two bytes, or so")
	oldKey   = []byte("another key of thirty-two bytes!")
)

// names is a name server. What it answers may change from one question to the next.
type names struct {
	mu    sync.Mutex
	asked int
	// answers are the addresses of a host; each time it is asked for it goes on to the next set, up to the last.
	answers map[string][][]string
}

// resolver asks the names alone.
func (n *names) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.serve(server)
	}()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func (n *names) serve(server net.PacketConn) {
	packet := make([]byte, 512)
	for {
		size, from, err := server.ReadFrom(packet)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(packet[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Header.Response, m.Header.RecursionAvailable, m.Header.Authoritative = true, true, true
		m.Additionals = nil
		n.answer(&m)
		if packed, err := m.Pack(); err == nil {
			_, _ = server.WriteTo(packed, from)
		}
	}
}

func (n *names) answer(m *dnsmessage.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := m.Questions[0]
	host := strings.TrimSuffix(q.Name.String(), ".")
	sets, known := n.answers[host]
	if !known {
		m.Header.RCode = dnsmessage.RCodeNameError
		return
	}
	for _, text := range sets[0] {
		addr := netip.MustParseAddr(text)
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		switch {
		case q.Type == dnsmessage.TypeA && addr.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case q.Type == dnsmessage.TypeAAAA && addr.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	if q.Type == dnsmessage.TypeA {
		n.asked++
		if len(sets) > 1 {
			n.answers[host] = sets[1:]
		}
	}
}

// got is a call as a receiver sees it.
type got struct {
	header http.Header
	body   []byte
}

// receiver is an application that keeps what it is sent.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	calls []got
}

// receive starts one that answers with answer, or 204 if that is nil.
func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.calls = append(r.calls, got{req.Header, body})
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) took() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.calls...)
}

// plain starts it without TLS, which loopback targets may do without.
func (r *receiver) plain() *receiver { r.Start(); return r }

// withTLS starts it with a certificate for example.com, by an authority that is returned.
func (r *receiver) withTLS() (*receiver, *x509.CertPool) {
	r.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(r.Certificate())
	return r, roots
}

// port is what follows the host in the receiver's URL.
func (r *receiver) port() string { return fmt.Sprint(r.Listener.Addr().(*net.TCPAddr).Port) }

// sender makes one for a target with key, on loopback unless o says otherwise.
func sender(t *testing.T, target string, o webhook.Options) *webhook.Sender {
	t.Helper()
	if o.Targets == nil {
		o.Targets = []webhook.Target{{URL: target, Keys: [][]byte{key}}}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s, err := webhook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ada(t *testing.T) reset.User {
	t.Helper()
	address, err := reset.ParseAddress("ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	return reset.User{
		ID: "3f0c6f0e-6a0e-4b86-9d0b-6c3b0a4f2f55", Email: address, Name: "Ada <Adams>", Locale: "de",
		Standing: reset.Standing{Accounts: []reset.Account{{ID: 1, Name: "Acme"}, {ID: 2, Name: "Globex & Söhne", Suspended: true}}},
	}
}

// passwordReset is an event.
func passwordReset(t *testing.T) reset.Event {
	t.Helper()
	return reset.Event{
		ID: reset.NewEventID(), Type: reset.EventPasswordReset, User: ada(t),
		At: time.Date(2026, 11, 23, 12, 0, 0, 123_456_789, time.FixedZone("", 3600)),
	}
}

// fault checks that err says why a target could not be told and what to do about it, and nothing secret.
func fault(t *testing.T, what string, err error, problem string) {
	t.Helper()
	f, ok := errors.AsType[*webhook.Fault](err)
	if !ok || !strings.Contains(f.Error(), problem) || f.Hint() == "" {
		t.Errorf("%s: got %v (%T), want a fault with %q and a hint", what, err, err, problem)
		return
	}
	for _, secret := range []string{"hooks", "t0ken", "canary", string(key)} {
		if strings.Contains(f.Error()+f.Hint(), secret) {
			t.Errorf("%s: the error has %q: %v", what, secret, f)
		}
	}
}
