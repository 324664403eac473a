package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// callTime bounds one call to the authority.
	callTime = 30 * time.Second
	// firstPause and lastPause are between tries to get a certificate: authorities
	// count failures, Let's Encrypt five an hour for a host. For a minute autocert
	// itself answers with the failure before.
	firstPause = 70 * time.Second
	lastPause  = time.Hour
	// newHosts is how often it is looked whether there are other hosts.
	newHosts = 5 * time.Second
)

// ACMEOptions say for whom to get certificates, and where.
type ACMEOptions struct {
	Hosts     []string        // in lower case; the first is shown to who asks for nobody
	More      func() []string // further hosts, which may change; nil for none. Those that no authority names are passed over
	Cache     string          // the folder where keys and certificates are kept
	Directory string          // the authority's directory
	Email     string          // where it may write to; may be empty
	Roots     *x509.CertPool  // who vouches for the authority; nil for those of the system
	Now       func() time.Time
	Log       *slog.Logger
}

// ACME gets certificates from an authority (RFC 8555), proves its hosts on the
// listener itself (TLS-ALPN-01, RFC 8737), and renews them when two thirds of
// their life are over, thirty days before their end at the latest.
//
// Callers never make it ask the authority: Watch alone does.
type ACME struct {
	o        ACMEOptions
	manager  *autocert.Manager
	client   *acme.Client
	reminder reminder

	mu   sync.RWMutex
	have map[string]bool // the hosts with a certificate
}

// NewACME opens the cache and shows what is good in it. It calls nobody.
func NewACME(o ACMEOptions) (*ACME, error) {
	if err := os.MkdirAll(o.Cache, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for certificates: %w", err)
	}
	client := newClient(o.Directory, o.Roots)
	a := &ACME{
		o: o, client: client, have: map[string]bool{}, reminder: reminder{log: o.Log},
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS, // the operator has agreed: without tls.acme_terms there is no ACME
			Cache:  autocert.DirCache(o.Cache),
			Client: client, Email: o.Email,
		},
	}
	a.manager.HostPolicy = a.ours
	for _, host := range a.hosts() {
		leaf, err := Cached(o.Cache, host)
		if err == nil && good(leaf, o.Now()) && leaf.VerifyHostname(host) == nil {
			if _, err := a.manager.GetCertificate(helloOf(host)); err == nil {
				a.have[host] = true
			}
		}
	}
	return a, nil
}

// hosts are those to get certificates for at this moment.
func (a *ACME) hosts() []string {
	hosts := slices.Clone(a.o.Hosts)
	if a.o.More == nil {
		return hosts
	}
	for _, host := range a.o.More() {
		// Authorities name no addresses by this way and no names of one label.
		_, err := netip.ParseAddr(host)
		if err != nil && strings.Contains(host, ".") && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts[len(a.o.Hosts):])
	return hosts
}

// ours is autocert's policy: it asks for no other host.
func (a *ACME) ours(_ context.Context, host string) error {
	if !slices.Contains(a.hosts(), host) {
		return errors.New("the host is none of ours")
	}
	return nil
}

func newClient(directory string, roots *x509.CertPool) *acme.Client {
	return &acme.Client{
		DirectoryURL: directory, UserAgent: "sparekey",
		HTTPClient: &http.Client{Timeout: callTime, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: Version, RootCAs: roots},
			TLSHandshakeTimeout: callTime, MaxIdleConns: 2, IdleConnTimeout: callTime, ForceAttemptHTTP2: true,
		}},
	}
}

// TLSConfig is how the listener speaks TLS with these certificates.
func (a *ACME) TLSConfig() *tls.Config {
	return &tls.Config{MinVersion: Version, GetCertificate: a.certificate, NextProtos: []string{acme.ALPNProto}}
}

// certificate answers a handshake.
func (a *ACME) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return a.manager.GetCertificate(hello) // the authority looks whether we are who we say
	}
	host := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	if host == "" {
		host = a.o.Hosts[0]
	}
	a.mu.RLock()
	have := a.have[host]
	a.mu.RUnlock()
	if !have {
		return nil, errors.New("there is no certificate for that name")
	}
	return a.manager.GetCertificate(helloOf(host))
}

// helloOf asks for a host's one certificate. Its key is an elliptic curve's: a
// second one, with RSA, would be for clients of before 2010.
func helloOf(host string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: host, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
}

// Watch gets the certificates that are missing until ctx ends, with pauses that
// grow, and tells the log when one is about to end without having been renewed.
// The listener must be open, for the authority looks there. On reload it tries at
// once, and soon after there is another host.
func (a *ACME) Watch(ctx context.Context, reload <-chan os.Signal) {
	pause := firstPause
	news := time.NewTicker(newHosts)
	defer news.Stop()
	for {
		hosts := a.hosts()
		if a.obtain(ctx, hosts) {
			pause = lastPause
		}
		if next := a.wait(ctx, pause, reload, news.C, hosts); next > 0 {
			pause = next
			continue
		}
		a.client.HTTPClient.CloseIdleConnections()
		return
	}
}

// wait waits for the next try, and answers the pause after it; 0 when ctx has ended.
func (a *ACME) wait(ctx context.Context, pause time.Duration, reload <-chan os.Signal, news <-chan time.Time, hosts []string) time.Duration {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0
		case <-timer.C:
			return min(2*pause, lastPause)
		case <-reload:
			return firstPause
		case <-news:
			if !slices.Equal(a.hosts(), hosts) {
				return firstPause
			}
		}
	}
}

// obtain gets what is missing, and reports whether nothing is missing any more.
func (a *ACME) obtain(ctx context.Context, hosts []string) (all bool) {
	all = true
	for _, host := range hosts {
		a.mu.RLock()
		had := a.have[host]
		a.mu.RUnlock()
		cert, err := await(ctx, func() (*tls.Certificate, error) { return a.manager.GetCertificate(helloOf(host)) })
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			all = false
			a.o.Log.WarnContext(ctx, "the authority issues no certificate", "event", "tls.acme_failed", "host", host, "error", err,
				"hint", "the authority must reach this listener at port 443 of that host, and this machine the authority; it is tried again by itself")
			continue
		case !had:
			a.mu.Lock()
			a.have[host] = true
			a.mu.Unlock()
			a.o.Log.InfoContext(ctx, "a certificate was issued", "event", "tls.loaded", "names", names(cert.Leaf), "expires", stamp(cert.Leaf.NotAfter))
		}
		a.reminder.tell(ctx, Problems(cert.Leaf, host, a.o.Now()), a.o.Now())
	}
	return all
}

// await returns what fn returns, or the end of ctx if that comes first. autocert
// cannot be interrupted; what it has begun ends with the process, within five minutes otherwise.
func await[T any](ctx context.Context, fn func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := fn()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// Cached returns the certificate of a host that is in a cache; os.ErrNotExist if there is none.
func Cached(cache, host string) (*x509.Certificate, error) {
	text, err := autocert.DirCache(cache).Get(context.Background(), host)
	if errors.Is(err, autocert.ErrCacheMiss) {
		return nil, os.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes) // the host's own comes first
		}
	}
	return nil, fmt.Errorf("there is no certificate in the file of %s", host)
}

// Reach asks the authority for its directory, within ctx, and returns where its terms are.
func Reach(ctx context.Context, directory string) (terms string, err error) {
	client := newClient(directory, nil)
	defer client.HTTPClient.CloseIdleConnections()
	d, err := client.Discover(ctx)
	return d.Terms, err
}
