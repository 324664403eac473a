// Package hookdir is a directory behind a webhook: an application that keeps its
// users to itself answers three signed calls, find, set and health, as
// docs/directory-webhook.yaml describes them.
//
// The application is asked on few connections that are kept, and the password is
// sent on a connection of its own: one that was kept may have just been closed by
// the other side, and then nobody could tell whether the password arrived. So what
// failed before there was a connection has changed nothing, for certain.
//
// What is asked twice is what may be: find and health, and a set that made no
// connection. One whose connection broke off before its answer is sent again, once
// and with the same Idempotency-Key, only if the application says in its answer to
// health that it honours the key; it is asked then and not before, because that is
// rare, and because what it has said long ago may hold no more. After that only "it
// was changed" counts as an answer: whatever else the second call is told, the first
// may have changed the password.
//
// An address is sent in two spellings, both with A to Z in small letters: its domain
// in ASCII and in Unicode. A user whose stored domain has labels of both kinds is
// found only if the application compares less exactly than that.
package hookdir

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/reset"
)

// Defaults and bounds of Config.
const (
	defaultTimeout     = 5 * time.Second
	leastTimeout       = 100 * time.Millisecond
	mostTimeout        = time.Minute
	defaultConnections = 8
	mostConnections    = 256
	mostKeys           = 4
)

const makeOne = "make a secret: echo whsec_$(openssl rand -base64 32); the application needs it too"

// Config is how an application is called.
type Config struct {
	// URL is where the application answers; /find, /set and /health are added to
	// it. https, or http if the host is localhost or a loopback address.
	URL string
	// Keys sign every call, each of them, the newest first; the application needs to
	// know one. At least one and at most four; see ParseSecrets.
	Keys [][]byte
	// AllowPrivate are the networks that the host's name may lead to, of those that
	// are otherwise refused: private, loopback and whatever else is not the Internet.
	// An address that the URL has itself needs no entry.
	AllowPrivate []netip.Prefix
	// CA are the authorities whose certificates the application may have; nil: the system's.
	CA *x509.CertPool
	// Timeout is for one answer, whatever is tried again included: from 100 ms to a
	// minute; 0: five seconds. Hashing in the application is part of it.
	Timeout time.Duration
	// Connections is how many calls are under way at once, at most 256; 0: eight.
	// Further ones wait within their time.
	Connections int
	// Resolver is nil for the system's.
	Resolver *net.Resolver
	// Now is what calls are signed with.
	Now reset.Clock
}

// Directory is an application's users. It is safe for concurrent use.
type Directory struct {
	url      *url.URL
	signer   *callout.Signer
	guard    *callout.Guard
	resolver *net.Resolver
	asking   *http.Client // for find and health; its connections are kept
	setting  *http.Client // for set
	turns    chan struct{}
	timeout  time.Duration
	now      reset.Clock
}

var _ reset.Inspected = (*Directory)(nil)

// New checks the configuration; its error is a *reset.Misset. It connects to nobody.
func New(c Config) (*Directory, error) {
	u, err := base(c.URL)
	if err != nil {
		return nil, err
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	switch {
	case c.Now == nil:
		return nil, errors.New("a directory behind a webhook needs a clock")
	case len(c.Keys) == 0:
		return nil, misset("secrets", makeOne, "there is no secret to sign calls with")
	case len(c.Keys) > mostKeys:
		return nil, misset("secrets", "keep the one that the application verifies with, and the newest", "there are more than %d secrets", mostKeys)
	case c.Timeout < leastTimeout || c.Timeout > mostTimeout:
		return nil, misset("timeout", "write a duration from 100ms to 1m", "it is out of range")
	case c.Connections < 1 || c.Connections > mostConnections:
		return nil, misset("connections", "write a number from 1 to 256", "it is out of range")
	}
	for _, key := range c.Keys {
		if _, err := callout.ParseSecret(callout.FormatSecret(key)); err != nil {
			return nil, misset("secrets", makeOne, "a secret %w", err)
		}
	}
	d := &Directory{
		url: u, resolver: c.Resolver, turns: make(chan struct{}, c.Connections), timeout: c.Timeout, now: c.Now,
		guard: callout.NewGuard("allow_private", append(implied(u), c.AllowPrivate...)),
	}
	if d.resolver == nil {
		d.resolver = net.DefaultResolver
	}
	if d.signer, err = callout.NewSigner(c.Keys...); err != nil {
		return nil, misset("secrets", makeOne, "%w", err)
	}
	keeping := callout.Transport(d.resolver, d.guard, u.Scheme, c.CA)
	keeping.DisableKeepAlives, keeping.MaxIdleConnsPerHost, keeping.IdleConnTimeout = false, c.Connections, 30*time.Second
	once := callout.Transport(d.resolver, d.guard, u.Scheme, c.CA)
	once.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1) // there is one host
	d.asking, d.setting = callout.Client(keeping), callout.Client(once)
	return d, nil
}

// base checks the URL and returns it without a slash at its end.
func base(text string) (*url.URL, error) {
	const fix = "write one such as https://app.example.com/sparekey"
	u, err := url.Parse(text)
	switch {
	case err != nil: // the error repeats the URL
		return nil, misset("url", fix, "it is no URL")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, misset("url", fix, "it names no host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, misset("url", fix, "it has a user, a query or a fragment, which calls would not have")
	case u.Scheme == "http" && !onThisMachine(u.Hostname()):
		return nil, misset("url", "use https; http is only for localhost and loopback addresses", "passwords are not sent without encryption")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, misset("url", fix, "it is not https")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}

func onThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// implied are the networks that the URL allows by itself: the address that it has
// instead of a name, and with http this machine, where alone http leads.
func implied(u *url.URL) (allow []netip.Prefix) {
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		addr = addr.Unmap().WithZone("")
		allow = append(allow, netip.PrefixFrom(addr, addr.BitLen()))
	}
	if u.Scheme == "http" {
		allow = append(allow, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return allow
}

// ParseSecrets reads the keys from a text: secrets such as whsec_…, with commas or white space between, the newest
// first. Lines that begin with # do not count. Its error is a *reset.Misset and repeats nothing of the text.
func ParseSecrets(text string) (keys [][]byte, err error) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for secret := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			key, err := callout.ParseSecret(secret)
			if err != nil {
				return nil, misset("secrets", makeOne, "number %d %w", len(keys)+1, err)
			}
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, misset("secrets", makeOne, "there is none")
	}
	return keys, nil
}

// misset makes a reset.Misset.
func misset(setting, fix, format string, args ...any) *reset.Misset {
	return &reset.Misset{Setting: setting, Fix: fix, Cause: fmt.Errorf(format, args...)}
}

// Close ends idle connections. Calls that are under way go on, as long as their contexts do.
func (d *Directory) Close() error {
	d.asking.CloseIdleConnections()
	d.setting.CloseIdleConnections()
	return nil
}

// UserByAddress implements reset.Directory.
func (d *Directory) UserByAddress(ctx context.Context, a reset.Address) (reset.User, error) {
	users, err := d.find(ctx, findCall{Type: "find", Addresses: spellings(a)})
	if err != nil {
		return reset.User{}, err
	}
	var found []reset.User
	for _, u := range users {
		if u.Email.Key() == a.Key() {
			found = append(found, u)
		}
	}
	switch len(found) {
	case 0:
		return reset.User{}, reset.ErrNoUser
	case 1:
		return found[0], nil
	}
	return reset.User{}, reset.ErrAmbiguous
}

// UserByID implements reset.Directory.
func (d *Directory) UserByID(ctx context.Context, id string) (reset.User, error) {
	if checkID(id) != nil {
		return reset.User{}, reset.ErrNoUser // nobody was ever found under it
	}
	users, err := d.find(ctx, findCall{Type: "find", ID: id})
	if err != nil {
		return reset.User{}, err
	}
	for _, u := range users {
		if u.ID == id {
			return u, nil
		}
	}
	return reset.User{}, reset.ErrNoUser
}
