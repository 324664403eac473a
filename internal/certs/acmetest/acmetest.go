// Package acmetest runs a real ACME authority in a test: Pebble, which Let's
// Encrypt tests clients with, and a name server that says that every host is here.
package acmetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/sparekey/sparekey/internal/certs/certtest"
)

// Unending is the one goroutine of an authority that nothing stops; it waits for
// the end of the process.
const Unending = "github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"

// Authority is a running authority.
type Authority struct {
	// Directory is the URL of its directory.
	Directory string
	// transport vouches for its HTTPS server.
	transport *certtest.Authority
	issuer    *ca.CAImpl
	orders    atomic.Int64
}

// Pool trusts the authority's HTTPS server.
func (a *Authority) Pool() *x509.CertPool { return a.transport.Pool() }

// PEM is what Pool trusts.
func (a *Authority) PEM() []byte { return a.transport.PEM() }

// Roots trusts what the authority issues.
func (a *Authority) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.issuer.GetRootCert(0).PEM())
	return pool
}

// Orders is how many certificates were asked for.
func (a *Authority) Orders() int { return int(a.orders.Load()) }

var quicken sync.Once

// Start starts an authority that looks for every host at that port of this
// machine, until the test ends. What it issues is good for that many hours.
func Start(t testing.TB, port int, hours uint64) *Authority {
	t.Helper()
	quicken.Do(func() {
		// It would wait for up to 15 seconds before it looks, to teach clients patience. What
		// it does to teach them retries, refusing one nonce in twenty, stays.
		_ = os.Setenv("PEBBLE_VA_NOSLEEP", "1") //nolint:usetesting // for all tests of the process, which run in parallel
	})
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "for tests", ValidityPeriod: hours * 3600}}
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, profiles)
	looker := va.New(quiet, 1, port, true, nameServer(t), store)
	front := wfe.New(quiet, store, looker, issuer, []string{"acme.example.test"}, true, false, 1, 1)

	a := &Authority{transport: certtest.New(t), issuer: issuer}
	handler := front.Handler()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/order-plz" {
			a.orders.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	pair := a.transport.Good(t, "127.0.0.1")
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	a.Directory = s.URL + wfe.DirectoryPath
	return a
}

// nameServer says that every name is 127.0.0.1.
func nameServer(t testing.TB) (address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	s := &dns.Server{Listener: l, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg).SetReply(question)
		if q := question.Question[0]; q.Qtype == dns.TypeA {
			answer.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1),
			}}
		}
		_ = w.WriteMsg(answer)
	})}
	done := make(chan error, 1)
	go func() { done <- s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
